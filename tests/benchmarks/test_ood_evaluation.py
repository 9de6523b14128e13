"""Detectors on made-up features: the figures are those of the scores, the lead is paired, refusals are told."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from ood_world import Broken, Largest, Refusing, make_features, make_world

from ncapps.benchmarks import ood_evaluation
from ncapps.benchmarks.bootstrap import PairedBootstrap
from ncapps.benchmarks.coverage import share_in_band
from ncapps.benchmarks.ood_evaluation import evaluate, make_detectors
from ncapps.benchmarks.ood_metrics import aupr, fpr_at_tpr, rank_auroc
from ncapps.benchmarks.ood_results import compare
from ncapps.conformal import false_alarm_band
from ncapps.errors import InputError
from ncapps.ood import DETECTORS

PEERS = {"etf": DETECTORS["etf"], "largest": Largest, "refusing": Refusing, "broken": Broken}


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(ood_evaluation, "DETECTORS", PEERS)
    return make_world(tmp_path)


def test_figures_are_those_of_the_scores(settings):
    features = make_features()
    features.unknown["more"] = make_features(seed=1).unknown["half"]
    features.groups["more"] = "near"
    found = evaluate(features, settings)
    run = next(run for run in found.runs if run.name == "largest")
    known = features.report.values.max(axis=1)
    for name in ("half", "middle", "other", "more"):
        unknown = features.unknown[name].values.max(axis=1)
        figures = run.sets[name]
        assert figures["auroc"][0] == pytest.approx(rank_auroc(known, unknown))
        assert figures["fpr95_ood"][0] == fpr_at_tpr(known, unknown, "ood")
        assert figures["fpr95_id"][0] == fpr_at_tpr(known, unknown, "id")
        assert [figures["aupr_in"][0], figures["aupr_out"][0]] == [aupr(known, unknown, s) for s in ("id", "ood")]
        assert figures["auroc"][1] <= figures["auroc"][0] <= figures["auroc"][2]
    for metric in ("auroc", "fpr95_ood", "fpr95_id", "aupr_in", "aupr_out"):
        both = [run.sets[name][metric][0] for name in ("half", "more")]
        assert run.groups["near"][metric][0] == pytest.approx(np.mean(both))
    assert run.groups["far"]["auroc"] == pytest.approx(run.sets["middle"]["auroc"])
    assert found.accuracy == np.mean(features.report.values[:, :3].argmax(axis=1) == np.arange(150) % 3)


def test_rows_are_sorted_and_refusals_are_told(settings):
    said = []
    found = evaluate(make_features(), settings, said.append)
    near = [run.groups["near"]["auroc"][0] for run in found.runs]
    assert near == sorted(near, reverse=True)
    assert {run.name for run in found.runs} == {"etf", "largest"}
    assert found.failed["refusing"] == "needs a head with 7 classes"
    assert "are NaN" in found.failed["broken"]
    assert "refusing: needs a head with 7 classes" in said
    with pytest.raises(InputError, match="no detector could run; the first said: needs a head"):
        evaluate(make_features(), replace(settings, detectors=["refusing"]))


def test_the_lead_is_paired(settings):
    features = make_features()
    found = evaluate(features, settings)
    lead = found.comparison["near"]
    known, unknown = features.report.values.max(axis=1), features.unknown["half"].values.max(axis=1)
    runs = {run.name: run for run in found.runs}
    assert lead["best_other"] == "largest"
    assert lead["difference"][0] == pytest.approx(lead["auroc"] - rank_auroc(known, unknown))
    bootstrap = PairedBootstrap(150, {"half": 80, "middle": 70, "other": 30}, resamples=40, seed=0)
    mine = bootstrap.replicates(runs["etf"].scores["known"], {k: runs["etf"].scores[k] for k in features.unknown})
    his = bootstrap.replicates(known, {k: v.values.max(axis=1) for k, v in features.unknown.items()})
    expected = np.quantile(mine["half"].auroc - his["half"].auroc, [0.025, 0.975])
    assert lead["difference"][1:] == pytest.approx(expected, abs=1e-9)


def test_compare_takes_the_best_other_of_each_group():
    def run(name, near, far):
        groups = {"near": {"auroc": [near]}, "far": {"auroc": [far]}}
        noise = np.linspace(-0.01, 0.01, 41)
        return SimpleNamespace(name=name, groups=groups, replicates={"near": near + noise, "far": far + noise})

    runs = [run("b", 0.9, 0.7), run("etf", 0.92, 0.95), run("c", 0.8, 0.96)]
    found = compare(runs, "etf", 0.95)
    assert [found[group]["best_other"] for group in ("near", "far")] == ["b", "c"]
    assert found["near"]["difference"] == pytest.approx([0.02, 0.02, 0.02])
    assert found["far"]["difference"] == pytest.approx([-0.01, -0.01, -0.01])
    assert found["far"]["differences"]["b"] == pytest.approx([0.25, 0.25, 0.25])
    assert compare(runs[:1], "etf", 0.95) == {}
    assert compare(runs[1:2], "etf", 0.95) == {}


def test_the_decision_is_measured_at_each_rate_that_can_be_held(settings):
    features = make_features()
    found = evaluate(features, replace(settings, detectors=["largest"], reject_rates=(0.2, 0.001, 0.05)))
    run = found.runs[0]
    assert [row["reject_rate"] for row in run.decision] == [0.001, 0.05, 0.2]
    assert run.decision[0] == {"reject_rate": 0.001, "reason": "99 validation images can't hold this rate"}
    held = np.sort(features.validation.values.max(axis=1))
    for row, rank in zip(run.decision[1:], (5, 20), strict=True):
        cut = held[rank - 1]
        assert row["refused"] == np.mean(features.report.values.max(axis=1) < cut)
        assert row["unknown"]["middle"] == np.mean(features.unknown["middle"].values.max(axis=1) < cut)
        assert tuple(row["band"]) == false_alarm_band(99, 150, row["reject_rate"])
        assert row["in_band"] == (row["band"][0] <= row["refused"] <= row["band"][1])
        pooled = np.concatenate([part.values.max(axis=1) for part in (features.validation, features.report)])
        assert row["splits_in_band"] == share_in_band(pooled, 99, row["reject_rate"]) >= 0.9
    assert run.threshold == pytest.approx(held[4])


def test_too_few_validation_images_leave_no_threshold(settings):
    features = make_features()
    few = replace(features.validation, values=features.validation.values[:3], keys=("0", "1", "2"))
    found = evaluate(replace(features, validation=few), replace(settings, detectors=["largest"]))
    assert np.isnan(found.runs[0].threshold)
    assert all("reason" in row for row in found.runs[0].decision)


def test_detectors_get_labels_head_and_validation_images(settings, monkeypatch):
    made = []
    monkeypatch.setitem(PEERS, "largest", lambda **more: made.append(Largest(**more)) or made[-1])
    features = make_features()
    found = evaluate(features, replace(settings, detectors=["largest"], detector_settings={"largest": {"sign": -1.0}}))
    assert made[0].seen == (60, 60, features.head, 99)
    assert found.runs[0].groups["near"]["auroc"][0] < 0.5
    assert evaluate(replace(features, head=None), replace(settings, detectors=["largest"])).accuracy is None


def test_unknown_detectors_and_arguments_are_refused(settings):
    with pytest.raises(InputError, match="no detector 'larget'; did you mean 'largest'"):
        make_detectors(replace(settings, detectors=["larget"]))
    with pytest.raises(InputError, match="no detector 'knn'; known are: etf"):
        make_detectors(replace(settings, detector_settings={"knn": {"k": 3}}))
    with pytest.raises(InputError, match=r"detector_settings of largest: .*'size'"):
        make_detectors(replace(settings, detector_settings={"largest": {"size": 3}}))
    assert list(make_detectors(replace(settings, detectors=["largest", "etf"]))) == ["largest", "etf"]
