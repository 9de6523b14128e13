"""The benchmark of all jobs on made-up pictures: same images for both networks, and figures that are theirs."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ood_world import make_world, write_zip

from ncapps import config
from ncapps.benchmarks import compressed_jobs
from ncapps.benchmarks.compressed_jobs import measure_compressed_jobs
from ncapps.benchmarks.compressed_jobs_settings import CompressedJobsSettings, NewClassesSettings
from ncapps.benchmarks.ood_settings import UnknownSettings
from ncapps.benchmarks.pruning import draw_evenly
from ncapps.compression import compress
from ncapps.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(tmp_path):
    ood = make_world(tmp_path)
    for seed, name in ((5, "shots"), (6, "asked")):
        write_zip(
            tmp_path / f"{name}.zip", [f"{k}/{i}.png" for k in ("bird", "eel", "fox", "gnu") for i in range(9)], seed
        )
    task = ood.tasks[0]
    task = replace(task, unknown=[*task.unknown, UnknownSettings(name="noise", group="development", images="far.zip")])
    new = NewClassesSettings(shots="shots.zip", asked="asked.zip", classes=2, each=3, draws=3, most_asked=5)
    return CompressedJobsSettings(
        task=task, new=new,
        output=str(tmp_path / "out.json"), data=str(tmp_path), cache=str(tmp_path / "cache"), macs=0.7, calibration=12,
        resamples=40, seeds=(0, 1),
    )  # fmt: skip


@pytest.fixture
def fast(monkeypatch):
    """Let the repair see each image once."""
    monkeypatch.setattr(compressed_jobs, "compress", lambda *given, **how: compress(*given, **how, views=1))


def by_figure(table):
    return {row["figure"]: row for row in table}


def test_the_recipe_writes_every_job_before_and_after(settings, fast, tmp_path, monkeypatch, capsys):
    config.dump(settings, tmp_path / "jobs.yaml")
    monkeypatch.setattr("sys.argv", ["compress_jobs.py", "--config", str(tmp_path / "jobs.yaml")])
    runpy.run_path(str(ROOT / "recipes" / "compress_jobs.py"), run_name="__main__")
    found = json.loads((tmp_path / "out.json").read_text())
    assert str(tmp_path) not in json.dumps({**found, "settings": {**found["settings"], "cache": "", "output": ""}})
    table = by_figure(found["table"])
    assert set(table) == {
        "accuracy", "few-shot harmonic", "few-shot base", "few-shot new", "AUROC near, etf", "AUROC far, etf",
        "pick a backbone, held-out classes",
    }  # fmt: skip
    assert set(by_figure(found["table_dense_statistics"])) == set(table) - {"pick a backbone, held-out classes"}
    for row in table.values():
        value, low, high = row["difference"]
        assert low <= value <= high
        assert row["small"] == pytest.approx(np.mean(row["each"]))
        assert value == pytest.approx(row["small"] - row["dense"])
    assert [(one["seed"], one["images"], one["macs_ratio"] <= 0.7) for one in found["networks"]] == [
        (0, 12, True),
        (1, 12, True),
    ]
    assert set(found["auroc_by_set"]["dense"]["etf"]) == {"tin", "specks"}
    assert len(found["auroc_by_set"]["small"]) == 2
    assert found["images"]["sets"]["report"]["images"] == 36
    assert [one["layer"] for one in found["dense"]["collapse_profile"]][-1] == "linear"
    assert found["dense"]["nc1"] > 0
    assert all(one["nc1"] > 0 for one in found["networks"])
    printed = capsys.readouterr().out
    assert "few-shot harmonic" in printed
    assert "written to" in printed


class Same:
    """A network that compression left as it was."""

    class report:  # noqa: N801
        macs_ratio, seconds, collapse_profile = 1.0, 0.0, None

    def __init__(self, model):
        self.model = model


def test_a_network_that_is_not_changed_differs_in_nothing(settings, monkeypatch):
    monkeypatch.setattr(compressed_jobs, "_compressed", lambda backbone, *more: Same(backbone.model))
    monkeypatch.setattr(compressed_jobs, "_cost", lambda small, seed: {})
    found = measure_compressed_jobs(settings)
    for key in ("table", "table_dense_statistics"):
        for row in found[key]:
            assert row["difference"] == pytest.approx([0, 0, 0], abs=1e-12), row["figure"]


def test_the_accuracy_is_that_of_the_dense_networks_own_head(settings, monkeypatch):
    monkeypatch.setattr(compressed_jobs, "_compressed", lambda backbone, *more: Same(backbone.model))
    monkeypatch.setattr(compressed_jobs, "_cost", lambda small, seed: {})
    table = by_figure(measure_compressed_jobs(replace(settings, seeds=(0,)))["table"])
    sources = compressed_jobs.open_task(settings.task, settings.ood)
    backbone = compressed_jobs.make_backbone(settings.task, settings.task.networks[0], settings.ood)
    images = compressed_jobs.read_images(sources.report, np.arange(len(sources.report)), backbone.preprocessing)
    with torch.no_grad():
        named = np.asarray(backbone.classes)[backbone.model.eval()(images).argmax(dim=1).numpy()]
    assert table["accuracy"]["dense"] == pytest.approx(np.mean(named == np.asarray(sources.report.labels)))


def test_development_asks_about_no_reporting_image(settings, fast):
    found = measure_compressed_jobs(replace(settings, development=True, seeds=(0,)))
    figures = set(by_figure(found["table"]))
    assert {name for name in figures if name.startswith("AUROC")} == {"AUROC development, etf"}
    sets = found["images"]["sets"]
    assert sets["report"]["fingerprint"] == sets["validation"]["fingerprint"]
    assert set(sets) == {"fit", "validation", "report", "noise"}
    without = replace(settings.task, unknown=settings.task.unknown[:2])
    with pytest.raises(InputError, match="no unknown set is for development"):
        measure_compressed_jobs(replace(settings, development=True, task=without))


def test_calibration_images_are_those_of_the_pruning_benchmark(settings, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        compressed_jobs, "compress", lambda model, images, codes, **how: drawn.append((images, codes, how))
    )
    sources = compressed_jobs.open_task(settings.task, settings.ood)
    backbone = compressed_jobs.make_backbone(settings.task, settings.task.networks[0], settings.ood)
    compressed_jobs._compressed(backbone, sources.fit, settings, 1)
    ((images, codes, how),) = drawn
    expected = draw_evenly(np.repeat([0, 1, 2], 6), 12, np.random.default_rng(1))
    assert torch.equal(images, compressed_jobs.read_images(sources.fit, expected, backbone.preprocessing))
    assert np.bincount(codes).tolist() == [4, 4, 4]
    assert (how["macs"], how["seed"], how["calibration"]) == (0.7, 1, 12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": ()}, "one seed and one detector"),
        ({"detectors": ()}, "one seed and one detector"),
        ({"task": "two"}, "one network, known images"),
    ],
)
def test_settings_that_say_too_little_are_refused(settings, changes, words):
    if "task" in changes:
        changes = {"task": replace(settings.task, networks=settings.task.networks * 2)}
    with pytest.raises(InputError, match=words):
        replace(settings, **changes)
    with pytest.raises(InputError, match="two draws are the least"):
        replace(settings.new, draws=1)


def test_the_config_is_of_the_shared_data_and_leaves_development_sets_out():
    settings = config.load(CompressedJobsSettings, ROOT / "configs" / "compress" / "resnet56_jobs.yaml")
    assert (settings.macs, settings.calibration, settings.seeds) == (0.5, 500, (0, 1, 2))
    assert settings.task.known is not None
    assert settings.task.known.validation == 1000
    assert not settings.development
    groups = {one.name: one.group for one in settings.task.unknown}
    reported = {name for name, group in groups.items() if group != "development"}
    assert reported == {"cifar100", "tin", "mnist", "dtd"}
