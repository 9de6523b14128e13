"""scikit-learn's own checks of an estimator, for every detector."""

import pytest
from head_data import HEAD_ALONE
from sklearn.utils.estimator_checks import check_estimator

from ncapps.ood import DETECTORS

# They need an environment variable, and pandas.
SKIPPED = {"check_array_api_input", "check_classifier_data_not_an_array"}

ONE_CLASS = "fitted without labels and without a head there is one class, and every image scores the same"
ONE_BACKGROUND = "fitted without labels there is one class, which is its own background: every image scores 0"


OUTLIERS_TOLD = ("check_outliers_train", "check_outliers_fit_predict")
EXPECTED_FAILURES = {
    **{name: dict.fromkeys(OUTLIERS_TOLD, ONE_CLASS) for name in (*HEAD_ALONE, "fdbd")},
    **{name: dict.fromkeys(OUTLIERS_TOLD, ONE_BACKGROUND) for name in ("rmds", "rmds++")},
}


@pytest.mark.parametrize("name", DETECTORS)
def test_scikit_learn_takes_it_for_an_estimator(name):
    expected = EXPECTED_FAILURES.get(name, {})
    results = check_estimator(DETECTORS[name](), expected_failed_checks=expected, on_skip=None)
    assert len(results) > 40
    assert {result["check_name"] for result in results if result["status"] == "skipped"} <= SKIPPED
    # One that passes after all has no place among the expected ones.
    assert {result["check_name"] for result in results if result["status"] == "xfail"} == expected.keys()
