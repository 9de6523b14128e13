"""The page of `ncapps compress`: written where asked, with further sizes and times of both networks."""

import argparse
import json

import pytest

from ncapps.cli import main
from ncapps.commands.compress_report import FRONT, _settings, front_asked


@pytest.mark.parametrize("form", [["--onnx"], []])
def test_the_page_is_written_with_the_front_and_times(photos, network, tmp_path, capsys, form):
    page, more = tmp_path / "page.html", [*form, str(tmp_path / "small.onnx")] if form else []
    if form:
        pytest.importorskip("onnxruntime")
    asked = ["--macs", "0.6", "--held-out", "9", "--report", str(page), "--front", "0.8", "--json", *more]
    assert main(["compress", str(photos), "--out", str(tmp_path / "s"), *asked, *network]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["held_out_images"]) == (27, 9)
    assert [point["chosen"] for point in found["front"]] == [False, True]
    runtime = "ONNX Runtime" if form else "PyTorch"
    # 27 images are no batch of 32.
    assert set(found["report"]["latency"]) == {"1"}
    assert set(found["report"]["latency"]["1"]) == {f"before, {runtime}", f"after, {runtime}"}
    text = page.read_text(encoding="utf-8")
    assert "operations of cifar_resnet20 are left" in text
    assert "operations: 0.6" in text
    assert f"after, {runtime}" in text
    assert str(photos) not in text, "no path of this machine on the page"


@pytest.mark.parametrize(
    ("given", "words"),
    [({"latency_ms": 12.5, "max_drop": 1.0}, "milliseconds: 12.5, points lost at most: 1"), ({}, "operations: 0.5")],
)
def test_the_target_is_told(given, words):
    asked = {"data": "photos", "backbone": "b", "importance": "obs", "seed": 0, "macs": None, "params": None}
    args = argparse.Namespace(**{**asked, "latency_ms": None, "max_drop": None, **given})
    assert _settings(args)["Target"] == words


def test_further_sizes_are_for_the_page_and_the_search_has_its_own():
    def asked(**given):
        return front_asked(argparse.Namespace(**{"report": None, "front": None, "max_drop": None, **given}))

    assert asked() == ()
    assert asked(report="page.html") == FRONT
    assert asked(report="page.html", max_drop=1.0) == ()
    assert asked(report="page.html", front=[]) == ()
    assert asked(front=[0.4]) == (0.4,)
