import numpy as np
import pytest
from blobs import blobs

from ncapps.errors import InputError
from ncapps.fewshot import METRICS, PrototypeClassifier
from ncapps.fewshot.metrics import metric_named
from ncapps.fewshot.parameters import as_plain, given_knobs, given_temperature


@pytest.mark.parametrize("name", METRICS)
def test_every_value_that_is_tried_may_be_given(name):
    metric = metric_named(name)
    assert given_knobs(name, metric, "auto") is None
    assert given_knobs(name, metric, {}) == metric.defaults
    for knob, grid in metric.knobs.items():
        for value in grid:
            assert given_knobs(name, metric, {knob: value}) == {**metric.defaults, knob: value}


@pytest.mark.parametrize(
    ("name", "knobs", "words"),
    [
        ("plda", {"within_shrinkage": 2}, "'within_shrinkage' of the metric 'plda' must be a number between 0 and 1"),
        ("plda", {"between_shrinkage": -0.1}, "between 0 and 1, but -0.1 came"),
        ("plda", {"offset_1": np.nan}, "'offset_1' of the metric 'plda' must be a finite number, but nan came"),
        ("mahalanobis", {"shrinkage": None}, "between 0 and 1, but None came"),
        ("teen", {"sharpness": np.inf}, "must be a number of 0 or more, but inf came"),
        ("ridge", {"penalty": 0}, "must be a number of 1e-12 or more, but 0 came"),
        ("ridge", {"penalty": "x"}, "but 'x' came"),
        ("cosine", {"shrinkage": 0.1}, "has no knob 'shrinkage'; its knobs: none"),
        ("plda", "best", "knobs must be a mapping from name to number, or 'auto', but 'best' came"),
        ("plda", None, "knobs must be a mapping"),
    ],
)
def test_knobs_that_can_not_be_are_refused_before_they_give_scores_that_are_no_numbers(name, knobs, words):
    X, y = blobs()
    with pytest.raises(InputError, match=words):
        PrototypeClassifier(metric=name, knobs=knobs).fit(X, y)


def test_a_temperature_is_above_zero_and_finite():
    assert given_temperature("auto") is None
    assert [given_temperature(one) for one in (2, np.float32(0.5), np.int64(3))] == [2.0, 0.5, 3.0]
    for bad in (0, -1, np.nan, np.inf, "warm", None, [1.0]):
        with pytest.raises(InputError, match="the temperature must be above 0, or 'auto'"):
            given_temperature(bad)


def test_parameters_of_any_kind_of_number_survive_a_file_bit_for_bit(tmp_path):
    X, y = blobs()
    y = np.unique(y, return_inverse=True)[1]
    for place, settings in enumerate(
        (
            {"metric": "teen", "knobs": {"calibration": 1}},
            {"metric": "teen", "knobs": {"calibration": np.float32(0.3)}, "seed": np.int64(3)},
            {"metric": "cosine", "temperature": np.float32(0.5), "priors": {np.int64(1): np.float32(2.0)}},
        )
    ):
        classifier = PrototypeClassifier(**settings).fit(X, y)
        classifier.save(tmp_path / f"{place}")
        loaded = PrototypeClassifier.load(tmp_path / f"{place}")
        assert loaded.state_hash() == classifier.state_hash()
        assert np.array_equal(loaded.predict_proba(X), classifier.predict_proba(X))


def test_plain_parameters_are_what_json_has():
    plain = as_plain({"seed": np.int64(2), "knobs": {"a": np.float32(0.5)}, "priors": {np.int64(4): 1}, "metric": "x"})
    assert plain == {"seed": 2, "knobs": {"a": 0.5}, "priors": [[4, 1.0]], "metric": "x"}
    assert [type(plain["seed"]), type(plain["priors"][0][0])] == [int, int]
    assert as_plain({"knobs": "auto", "priors": None}) == {"knobs": "auto", "priors": None}
