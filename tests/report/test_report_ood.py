"""The OOD benchmark's page: its grid, its pictures, and that what is found stands on it."""

import numpy as np
import pytest
from ood_world import Largest, Refusing, make_features, make_world

from ncapps.benchmarks import ood_evaluation
from ncapps.benchmarks.ood_evaluation import evaluate
from ncapps.benchmarks.ood_protocol import NetworkResult, OODResults
from ncapps.errors import InputError
from ncapps.ood import DETECTORS
from ncapps.report.grid import Grid
from ncapps.report.ood import ood_page
from ncapps.report.ood_figures import plot_ranking, plot_roc_sets


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(
        ood_evaluation, "DETECTORS", {"etf": DETECTORS["etf"], "largest": Largest, "refusing": Refusing}
    )
    settings, features = make_world(tmp_path), make_features()
    result = NetworkResult(
        task="animals", network="small", evaluation=evaluate(features, settings), provenance=features.provenance
    )
    return OODResults(settings=settings, networks=[result], environment={"versions": {"numpy": "9"}})


def test_the_page_tells_what_was_found(results):
    page = ood_page(results).render()
    found = results.networks[0].evaluation
    near = found.comparison["near"]
    assert f"{near['auroc']:.4f}" in page
    assert f"best other: largest {near['best_other_auroc']:.4f}" in page
    assert "needs a head with 7 classes" in page
    assert f"names {found.accuracy:.2%} of them right" in page
    assert "ffffffffffffffff" in page
    assert page.count("<figure") == 4
    refused = next(run for run in found.runs if run.name == "etf").decision[0]["unknown"]["middle"]
    assert f"{refused:.1%}" in page
    shares = [row["splits_in_band"] for row in next(run for run in found.runs if run.name == "etf").decision]
    assert f"{shares[0]:.1%} / {shares[1]:.1%}" in page


def test_a_lone_detector_has_no_one_to_compare_with(results):
    evaluation = results.networks[0].evaluation
    evaluation.runs[:] = [run for run in evaluation.runs if run.name == "etf"]
    evaluation.comparison.clear()
    page = ood_page(results).render()
    assert "Against the best other" not in page
    assert page.count("<figure") == 3


def test_a_grid_escapes_marks_and_counts_its_cells():
    text = Grid(columns=("Name", "A", "B"), cells=(("<x>", "1", "2"), ("etf", "3", "4")), marked="etf").render()
    assert "&lt;x&gt;" in text
    assert text.count("<tr>") == 3
    row = text.split("<tr>")[-1]
    assert "font-weight: 700" in row
    assert "font-weight: 700" not in text.split("<tr>")[-2]
    with pytest.raises(InputError, match="a row needs 2 cells, one a column"):
        Grid(columns=("Name", "A"), cells=(("x",),))


def test_a_ranking_shows_every_detector_and_group():
    svg = plot_ranking(["a", "etf"], {"near": [(0.9, 0.8, 0.95), (0.7, 0.6, 0.8)]}, "etf")
    assert svg.startswith("<svg")
    for word in ("near", ">a<", ">etf<", "AUROC"):
        assert word in svg
    with pytest.raises(InputError, match="'near' has 1 values for 2 detectors"):
        plot_ranking(["a", "b"], {"near": [(0.9, 0.8, 1.0)]})
    with pytest.raises(InputError, match="one detector and one group or more"):
        plot_ranking([], {})


def test_roc_curves_have_a_panel_for_each_set():
    rng = np.random.default_rng(0)
    scores = {"known": rng.normal(1, 1, 50), "far": rng.normal(0, 1, 40), "near": rng.normal(0.5, 1, 40)}
    svg = plot_roc_sets({"etf": scores, "other": scores}, ["near", "far"], "etf")
    for word in (">near<", ">far<", ">etf<", ">other<"):
        assert svg.count(word) == 1
    with pytest.raises(InputError, match="one unknown set or more"):
        plot_roc_sets({"etf": scores}, [])
    with pytest.raises(InputError, match="hold NaN"):
        plot_roc_sets({"etf": {**scores, "far": np.array([np.nan])}}, ["far"])
