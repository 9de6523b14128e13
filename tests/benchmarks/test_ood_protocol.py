"""The OOD benchmark from pictures to files: through the recipe, with two detectors and a network of random weights."""

import csv
import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ood_world import Largest, Refusing, make_features, make_world

from ncapps import config
from ncapps.benchmarks import ood_evaluation
from ncapps.benchmarks.ood_evaluation import evaluate
from ncapps.benchmarks.ood_protocol import NetworkResult, OODResults, run_ood
from ncapps.ood import DETECTORS

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "ood.py"


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.setattr(
        ood_evaluation, "DETECTORS", {"etf": DETECTORS["etf"], "largest": Largest, "refusing": Refusing}
    )


def made_up(settings):
    features = make_features()
    result = NetworkResult(
        task="animals", network="none", evaluation=evaluate(features, settings), provenance=features.provenance
    )
    return OODResults(settings=settings, networks=[result], environment={"versions": {}})


def test_the_recipe_writes_everything(peers, tmp_path, monkeypatch, capsys):
    config.dump(make_world(tmp_path), tmp_path / "animals.yaml")
    out, results = tmp_path / "out", tmp_path / "results"
    monkeypatch.setattr(
        "sys.argv",
        ["ood.py", "--config", str(tmp_path / "animals.yaml"), "--out", str(out), "--results", str(results),
         "--resamples", "20"],
    )  # fmt: skip
    runpy.run_path(str(RECIPE), run_name="__main__")
    found = json.loads((results / "ood_animals.json").read_text(encoding="utf-8"))
    assert found["settings"]["resamples"] == 20
    assert {"torch", "numpy"} <= set(found["environment"]["versions"])
    network = found["networks"][0]
    assert {row["detector"] for row in network["detectors"]} == {"etf", "largest"}
    assert network["failed"] == {"refusing": "needs a head with 7 classes"}
    assert network["sets"]["report"]["images"] == 36
    assert 0 <= network["accuracy"] <= 1
    assert set(network["comparison"]) == {"near", "far"}
    assert (out / "results.csv").read_text() == (results / "ood_animals.csv").read_text()
    assert "animals, small" in (out / "report.html").read_text(encoding="utf-8")
    said = capsys.readouterr().out
    assert "animals, small, near: etf" in said
    assert "best other largest" in said


def test_a_second_run_gives_the_same_figures(peers, tmp_path):
    settings = make_world(tmp_path)
    first, second = (run_ood(settings, progress=False).as_dict()["networks"][0] for _ in range(2))
    for one, other in zip(first["detectors"], second["detectors"], strict=True):
        assert {k: v for k, v in one.items() if "second" not in k} == {
            k: v for k, v in other.items() if "second" not in k
        }
    assert first["comparison"] == second["comparison"]


def test_the_table_has_a_row_for_each_group_and_set(peers, tmp_path):
    results = made_up(make_world(tmp_path))
    results.write_csv(tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (3 + 1 + 3)
    run = results.networks[0].evaluation.runs[0]
    mine = {(row["group"], row["set"]): row for row in rows if row["detector"] == run.name}
    assert float(mine["near", "mean"]["auroc_low"]) == pytest.approx(run.groups["near"]["auroc"][1], abs=1e-6)
    assert float(mine["far", "middle"]["fpr95_id"]) == pytest.approx(run.sets["middle"]["fpr95_id"][0], abs=1e-6)
    assert float(mine["known", "report"]["refused_at_0.05"]) == pytest.approx(run.decision[0]["refused"], abs=1e-6)
    assert float(mine["far", "mean"]["refused_at_0.2"]) == pytest.approx(run.decision[1]["unknown"]["middle"], abs=1e-6)
    share = run.decision[1]["splits_in_band"]
    assert float(mine["known", "report"]["splits_in_band_at_0.2"]) == pytest.approx(share, abs=1e-6)
    assert mine["far", "mean"]["splits_in_band_at_0.2"] == ""
    assert mine["known", "report"]["auroc"] == ""
    assert float(mine["known", "report"]["fit_seconds"]) >= 0
    assert [row["place"] for row in rows] == sorted(row["place"] for row in rows)


def test_json_is_rounded_and_has_a_line_for_each_detector(peers, tmp_path):
    results = made_up(replace(make_world(tmp_path), resamples=7))
    results.write_json(tmp_path / "results.json")
    text = (tmp_path / "results.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps(results.as_dict()))
    assert sum(line.lstrip().startswith('{"detector": ') for line in text.splitlines()) == 2
    value = json.loads(text)["networks"][0]["comparison"]["near"]["auroc"]
    assert value == np.round(results.networks[0].evaluation.comparison["near"]["auroc"], 6)
    assert config.from_dict(type(results.settings), json.loads(text)["settings"]) == results.settings
