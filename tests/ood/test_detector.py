from types import SimpleNamespace

import numpy as np
import pytest
import torch
from head_data import HEAD_ALONE

from ncapps.conformal import false_alarm_band
from ncapps.errors import InputError
from ncapps.ood import DETECTORS
from ncapps.ood.nci import NCI
from ncapps.ood.neco import NECO
from ncapps.ood.rmds import RMDS
from ncapps.ood.statistics_detector import StatisticsDetector
from ncapps.prototypes import unit_rows
from ncapps.statistics import ClassStatistics


def known_and_unknown(each=150, classes=5, width=12, seed=0):
    random = np.random.default_rng(seed)
    centers = 4 * random.standard_normal((classes, width))
    X = np.repeat(centers, each, axis=0) + 0.3 * random.standard_normal((classes * each, width))
    return X, np.repeat([f"c{i}" for i in range(classes)], each), 4 * random.standard_normal((300, width))


STREAMED = [name for name, kind in DETECTORS.items() if issubclass(kind, StatisticsDetector)]


@pytest.fixture(params=DETECTORS)
def fitted(request):
    X, y, unknown = known_and_unknown()
    return DETECTORS[request.param]().fit(X[::3], y[::3]), X, unknown


def sparse_activations(each=60, classes=5, width=60, seed=0):
    """Known images activate the units of their class, unknown ones any units and half as much, as after a ReLU."""
    random = np.random.default_rng(seed)
    own = np.repeat(np.eye(classes), width // classes, axis=1)
    X = np.repeat(own, each, axis=0) * random.gamma(4, 1, (classes * each, width))
    unknown = random.permuted(np.repeat(own[:1], 300, axis=0), axis=1) * random.gamma(4, 0.5, (300, width))
    X, unknown = (rows + 0.1 * np.abs(random.standard_normal(rows.shape)) for rows in (X, unknown))
    head = SimpleNamespace(weight=own - own.mean(axis=0), bias=None)
    return X, np.repeat(np.arange(classes), each), unknown, head


@pytest.mark.parametrize("name", HEAD_ALONE)
@pytest.mark.parametrize("seed", [0, 1])
def test_higher_means_known_to_a_head_on_sparse_activations(name, seed):
    X, y, unknown, head = sparse_activations(seed=seed)
    detector = DETECTORS[name]().fit(X[::2], y[::2], head=head)
    known = detector.score_samples(X[1::2])
    assert np.quantile(known, 0.05) > np.quantile(detector.score_samples(unknown), 0.95)
    assert np.mean(detector.nearest_class(X) == y) > 0.99


# Made for sparse activations that are never negative, which these clusters are not.
@pytest.mark.parametrize("fitted", sorted(DETECTORS.keys() - {"ash_s", "scale", "dice", "grad_norm"}), indirect=True)
def test_higher_means_known(fitted):
    detector, X, unknown = fitted
    assert np.median(detector.score_samples(X)) > np.quantile(detector.score_samples(unknown), 0.95)


def test_predict_works_before_calibration_and_is_plus_or_minus_one(fitted):
    detector, X, unknown = fitted
    assert set(detector.predict(np.concatenate([X, unknown]))) == {-1, 1}
    assert np.array_equal(detector.predict(X) == 1, detector.decision_function(X) >= 0)


def test_p_value_and_threshold_say_the_same(fitted):
    detector, X, unknown = fitted
    detector.calibrate(X[1::3], reject_rate=0.1)
    both = np.concatenate([X[2::3], unknown])
    assert np.array_equal(detector.predict(both) == -1, detector.p_values(both) <= 0.1)


def test_the_false_alarm_rate_lies_in_its_band_over_random_splits(fitted):
    detector, X, _ = fitted
    random, held, inside = np.random.default_rng(0), np.arange(len(X)) % 3 != 0, 0
    rows = np.flatnonzero(held)
    for _ in range(100):
        order = random.permutation(rows)
        calibration, test = order[:300], order[300:]
        detector.calibrate(X[calibration], 0.05)
        low, high = false_alarm_band(len(calibration), len(test), 0.05)
        inside += low <= np.mean(detector.predict(X[test]) == -1) <= high
    assert inside >= 90


def test_another_rate_needs_no_scoring(fitted):
    detector, X, _ = fitted
    detector.calibrate(X[1::3], 0.05)
    strict = detector.offset_
    detector.set_reject_rate(0.2)
    assert detector.offset_ > strict
    assert detector.set_reject_rate(0.05).offset_ == strict


def test_a_batch_scores_like_its_images_one_by_one(fitted):
    detector, X, _ = fitted
    single = np.concatenate([detector.score_samples(X[i : i + 1]) for i in range(20)])
    assert np.allclose(detector.score_samples(X[:20]), single, rtol=1e-12)


def test_save_and_load_keep_every_score(fitted, tmp_path):
    detector, X, unknown = fitted
    detector.calibrate(X[1::3])
    detector.save(tmp_path / "d.safetensors")
    loaded = type(detector).load(tmp_path / "d.safetensors")
    assert np.array_equal(loaded.score_samples(unknown), detector.score_samples(unknown))
    assert np.array_equal(loaded.p_values(unknown), detector.p_values(unknown))
    assert loaded.offset_ == detector.offset_
    assert loaded.get_params() == detector.get_params()


@pytest.mark.parametrize("fitted", STREAMED, indirect=True)
def test_statistics_of_shards_give_the_same_scores(fitted):
    detector, X, unknown = fitted
    X, y, _ = known_and_unknown()
    if "subcentroids" in detector.get_params():
        # Learned from images alone, so not a part of what statistics give.
        detector = type(detector)(subcentroids=0).fit(X[::3], y[::3])
    X, y = unit_rows(X[::3]) if detector.unit_features else X[::3], y[::3]
    parts = ClassStatistics.from_features(X[:70], y[:70]) + ClassStatistics.from_features(X[70:], y[70:])
    merged = type(detector)().fit_statistics(parts)
    assert np.allclose(merged.score_samples(unknown), detector.score_samples(unknown), rtol=1e-10)
    with pytest.raises(InputError, match="calibrate on held-out images first"):
        merged.predict(unknown)
    assert len(merged.calibrate(known_and_unknown()[0][1::3]).calibration_) == 250


def test_without_labels_all_is_one_class(fitted):
    detector, X, unknown = fitted
    one = type(detector)().fit(X[:50])
    assert np.isfinite(one.score_samples(unknown)).all()
    if isinstance(detector, RMDS | NECO | NCI):
        # Of one class, the background is the class, no class means span anything, and no row of a head points anywhere.
        return
    # The head of a single class's mean has one logit, the same for every image.
    unlike = one.score_samples(X[50:60]).mean() - one.score_samples(unknown).mean()
    assert unlike == 0 if type(detector) in [DETECTORS[name] for name in (*HEAD_ALONE, "fdbd")] else unlike > 0


def test_tensors_in_tensors_out(fitted):
    detector, X, _ = fitted
    assert isinstance(detector.score_samples(torch.from_numpy(X)), torch.Tensor)


def test_errors_name_the_cause(fitted, tmp_path):
    detector, X, _ = fitted
    with pytest.raises(InputError, match="p-values need held-out known images"):
        type(detector)().fit(X).p_values(X)
    with pytest.raises(InputError, match="10 calibration images can't hold a false-alarm rate of 0.01: 99 or more"):
        detector.calibrate(X[:10], 0.01)
    with pytest.raises(InputError, match="between 0 and 1, but 5 came; write 0.05 for 5 %"):
        detector.calibrate(X, 5)
    with pytest.raises(InputError, match="X has 3 features, but .* is expecting 12"):
        detector.score_samples(X[:, :3])
    (tmp_path / "bad").write_bytes(b"no")
    with pytest.raises(InputError, match="damaged"):
        type(detector).load(tmp_path / "bad")


@pytest.mark.parametrize("name", STREAMED)
def test_empty_statistics_are_refused(name):
    with pytest.raises(InputError, match="statistics are empty"):
        DETECTORS[name]().fit_statistics(ClassStatistics.empty(3))


def test_a_failed_calibration_leaves_the_old_one(fitted):
    detector, X, _ = fitted
    detector.calibrate(X[1::3])
    before = detector.offset_, detector.calibration_
    with pytest.raises(InputError, match="can't hold"):
        detector.calibrate(X[:3], 0.05)
    assert (detector.offset_, detector.calibration_) == before
