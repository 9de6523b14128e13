import functools
from types import SimpleNamespace

import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.ood import DETECTORS, MDS, ETFDetector
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.statistics_detector import StatisticsDetector
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics

FROM_STATISTICS = [name for name, kind in DETECTORS.items() if issubclass(kind, StatisticsDetector)]


def data(seed=0, each=40, classes=4, width=6):
    random = np.random.default_rng(seed)
    X = np.repeat(3 * random.standard_normal((classes, width)), each, axis=0) + random.standard_normal(
        (classes * each, width)
    )
    order = random.permutation(len(X))
    return X[order], np.array([f"c{i}" for i in range(classes)]).repeat(each)[order]


@pytest.fixture(params=FROM_STATISTICS)
def kind(request):
    # Sub-centroids are learned from images alone; all the rest of the detector is the statistics'.
    return functools.partial(ETFDetector, subcentroids=0) if request.param == "etf" else DETECTORS[request.param]


def head_of(X, y):
    """A head that names every image right, but is not that of the class means."""
    head = LinearHead.from_means(ClassStatistics.from_features(X, y))
    noise = 0.01 * np.random.default_rng(9).standard_normal(head.weight.shape)
    return SimpleNamespace(weight=3 * head.weight + noise, bias=3 * head.bias)


def test_batches_merged_detectors_and_one_fit_agree(kind):
    X, y = data()
    queries, head = data(seed=1)[0], head_of(X, y)
    whole = kind().fit(X, y, head).score_samples(queries)
    batches = kind().partial_fit(X[:50], y[:50], head)
    for start in range(50, len(X), 37):
        batches.partial_fit(X[start : start + 37], y[start : start + 37])
    merged = kind().fit(X[:70], y[:70], head).merge(kind().fit(X[70:], y[70:], head))
    scale = np.abs(whole).max()
    assert np.abs(batches.score_samples(queries) - whole).max() <= 1e-9 * scale
    assert np.abs(merged.score_samples(queries) - whole).max() <= 1e-9 * scale


def test_another_batch_clears_the_calibration(kind):
    X, y = data()
    detector = kind().fit(X, y).calibrate(data(seed=2)[0])
    assert len(detector.calibration_)
    detector.partial_fit(*data(seed=3))
    assert not len(detector.calibration_)
    with pytest.raises(InputError, match="calibrate on held-out images first"):
        detector.predict(X)


def test_after_loading_the_stream_goes_on(kind, tmp_path):
    X, y = data()
    head = head_of(X, y)
    kind().fit(X[:90], y[:90], head).save(tmp_path / "d")
    loaded = type(kind()).load(tmp_path / "d").partial_fit(X[90:], y[90:])
    straight = kind().fit(X[:90], y[:90], head).partial_fit(X[90:], y[90:])
    assert np.array_equal(loaded.score_samples(X), straight.score_samples(X))


def test_added_classes_survive_another_batch_and_a_merge():
    X, y = data()
    detector = MDS().fit(X[:80], y[:80]).add_class("kiwi", X[:5] + 30)
    detector.partial_fit(X[80:], y[80:])
    assert "kiwi" in detector.classes_
    fresh = MDS().fit(X, y).add_class("kiwi", X[:5] + 30)
    assert np.allclose(detector.score_samples(X), fresh.score_samples(X), rtol=1e-9)
    merged = MDS().fit(X[:80], y[:80]).add_class("kiwi", X[:5] + 30).merge(MDS().fit(X[80:], y[80:]))
    assert np.allclose(merged.score_samples(X), fresh.score_samples(X), rtol=1e-9)


def test_a_removed_class_stays_away_in_the_next_batch():
    X, y = data()
    detector = MDS().fit(X, y).remove_class("c1")
    other = y != "c1"
    assert detector.partial_fit(X[other], y[other]).classes_ == ("c0", "c2", "c3")


def test_errors_name_the_cause():
    X, y = data()
    with pytest.raises(InputError, match="class 'kiwi' was added from a few images; remove it before"):
        MDS().fit(X, y).add_class("kiwi", X[:5]).partial_fit(X[:5], ["kiwi"] * 5)
    with pytest.raises(InputError, match="can't be merged"):
        MDS().fit(X, y).merge(DETECTORS["energy"]().fit(X, y))  # type: ignore[arg-type]
    units = [name for name in FROM_STATISTICS if DETECTORS[name].unit_features]  # type: ignore[attr-defined]
    for name in units:
        with pytest.raises(InputError, match="needs statistics of features divided by their length"):
            DETECTORS[name]().fit_statistics(ClassStatistics.from_features(X, y))
        DETECTORS[name]().fit_statistics(ClassStatistics.from_features(unit_rows(X), y))
