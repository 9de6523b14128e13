"""scikit-learn's own checks of an estimator, for every metric."""

import numpy as np
import pytest
from blobs import blobs
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from ncapps.fewshot import METRICS, PrototypeClassifier, ridge

EXPECTED_FAILURES = {"check_supervised_y_2d": "labels in a column are refused with a reason; nothing is flattened"}
# It needs an environment variable.
SKIPPED = {"check_array_api_input"}


@pytest.fixture(autouse=True)
def narrow_projection(monkeypatch):
    # A thousand projected columns, solved for in each of fifty checks, would tell nothing more.
    monkeypatch.setattr(ridge, "_PROJECTED", 40)


@pytest.mark.parametrize("metric", METRICS)
def test_scikit_learn_takes_it_for_an_estimator(metric):
    results = check_estimator(
        PrototypeClassifier(metric=metric), expected_failed_checks=EXPECTED_FAILURES, on_skip=None
    )
    assert len(results) > 50
    assert {result["check_name"] for result in results if result["status"] == "skipped"} <= SKIPPED
    # One that passes after all has no place among the expected ones.
    assert {result["check_name"] for result in results if result["status"] == "xfail"} == EXPECTED_FAILURES.keys()


def test_it_stands_in_a_pipeline_that_is_cross_validated():
    X, y = blobs()
    found = cross_val_score(make_pipeline(StandardScaler(), PrototypeClassifier()), X, y, cv=4)
    assert np.array_equal(found, np.ones(4))
