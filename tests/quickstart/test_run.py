import json

import numpy as np
import pytest

from ncapps.quickstart import run_quickstart, summary, write_results
from ncapps.recognizer import Recognizer
from ncapps.training import TrainSettings

QUICK = TrainSettings(
    backbone="resnet18",
    model_kwargs={"channels": [16, 16, 32, 64], "layers": [1, 1, 1, 1]},
    small_stem=True,
    image_size=8,
    epochs=3,
)
PROMISED = {
    "accuracy_known",
    "accuracy_added",
    "ood_auroc",
    "false_alarm_rate",
    "macs_ratio",
    "accuracy_pruned",
    "nc1",
    "nc2_equiangularity",
    "nc3",
    "nc4_agreement",
    "seconds",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("quickstart")


@pytest.fixture(scope="module")
def steps():
    return []


@pytest.fixture(scope="module")
def run(folder, steps):
    found = run_quickstart(folder, settings=QUICK, progress=False, say=steps.append)
    write_results(found, folder)
    return found


def test_results_hold_what_is_promised(run, folder, steps):
    written = json.loads((folder / "results.json").read_text())
    assert set(written) >= PROMISED
    assert {"environment", "settings"} <= set(written)
    assert set(written["false_alarm_rate"]) == {"target", "measured", "low", "high"}
    assert 0.3 < written["macs_ratio"] <= 0.5
    assert written["accuracy_known"] > 0.5
    assert written["undo_is_exact"] is True
    assert len(steps) == 6


def test_the_summary_is_words_and_figures(run):
    text = summary(run.results)
    assert f"{run.results['accuracy_known']:.1%} right" in text
    assert text.count("\n") == 6


def test_the_saved_recognizer_knows_ten_digits(run, folder):
    assert Recognizer.load(folder / "digits.ncapps", progress=False).classes == tuple(range(10))


def test_what_the_report_is_drawn_from_fits_together(run):
    assert run.features.shape[1] == run.vertices.shape[1] == run.added_features.shape[1]
    assert len(run.vertices) == 8
    assert len(run.features) == len(run.labels) == run.confusion_before[0].sum()
    assert run.confusion_after[0].sum() == len(run.labels) + len(run.added_labels) - 10
    assert run.confusion_after[0].shape == (10, 10)
    images, captions, marks = run.gallery
    assert len(images) == len(captions) == len(marks)
    assert set(run.scores) == {"known digits", "digits 8 and 9", "textures", "noise"}
    measured = np.mean(run.scores["known digits"] < run.threshold)
    assert run.results["false_alarm_rate"]["measured"] == measured


def test_the_report_is_one_file(run, folder):
    page = (folder / "report.html").read_text()
    assert page.count("<svg") >= 5
    assert "<script" not in page
    assert sorted(path.name for path in folder.iterdir()) == ["digits.ncapps", "report.html", "results.json"]
