"""Pooled leads and calibration errors, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncapps.benchmarks.generalized_few_shot_results import calibration_bins, pooled_calibration_error, report_figures


def _draw(**harmonic):
    def one(value):
        bins = calibration_bins(np.array([0.5, 0.9]), np.array([False, True]))
        return {"shots": {"5": {"base": 0.5, "new": 0.5, "overall": 0.5, "harmonic": value, "bins": bins}}, "knobs": {}}

    return {name: one(value) for name, value in harmonic.items()}


def test_a_lead_is_paired_by_draw_and_pooled_over_sets():
    found = {
        "birds": [_draw(plda=0.6, teen=0.5), _draw(plda=0.9, teen=0.8), _draw(plda=0.3, teen=0.2)],
        "rocks": [_draw(plda=0.4, teen=0.4), _draw(plda=0.5, teen=0.5), _draw(plda=0.1, teen=0.1)],
    }
    report = report_figures(found, "plda", 0.95)
    teen = report["pooled"]["5"]["teen"]
    assert teen["harmonic"] == pytest.approx(np.mean([0.5, 0.8, 0.2, 0.4, 0.5, 0.1]))
    # Every draw leads by the same, so the interval is a point, however far the draws lie apart.
    assert teen["lead"] == pytest.approx([0.05, 0.05, 0.05])
    assert "lead" not in report["pooled"]["5"]["plda"]
    assert report["sets"]["birds"]["plda"]["5"]["harmonic"][0] == pytest.approx(0.6)
    assert report["harmonic_means"]["rocks"]["5"]["teen"] == [0.4, 0.5, 0.1]
    assert report["calibration"]["5"]["plda"]["images"] == 12
    assert report["calibration"]["5"]["plda"]["error"] == pytest.approx(0.3)
    assert report["calibration"]["5"]["plda"]["by_set"]["birds"] == pytest.approx(0.3)


def test_a_method_without_probabilities_has_no_calibration():
    found = {"birds": [_draw(plda=0.6, easyfsl=0.5), _draw(plda=0.9, easyfsl=0.8)]}
    for draw in found["birds"]:
        del draw["easyfsl"]["shots"]["5"]["bins"]
    assert list(report_figures(found, "plda", 0.95)["calibration"]["5"]) == ["plda"]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(0, 40))
def test_bins_of_parts_add_up_to_those_of_all(pairs, cut):
    confidence, right = np.array([c for c, _ in pairs]), np.array([r for _, r in pairs])
    whole = pooled_calibration_error([calibration_bins(confidence, right)])
    parts = [(confidence[:cut], right[:cut]), (confidence[cut:], right[cut:])]
    assert pooled_calibration_error([calibration_bins(*part) for part in parts]) == pytest.approx(whole)
    slow = sum(
        abs(confidence[own].mean() - right[own].mean()) * own.mean()
        for place in range(15)
        if (own := np.minimum(np.floor(confidence * 15), 14) == place).any()
    )
    assert whole == pytest.approx(slow)
