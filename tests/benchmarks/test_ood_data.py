"""From settings to images and features: which image plays which part, and that each is extracted once."""

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ood_world import make_world
from PIL import Image

from ncapps import config
from ncapps.benchmarks.ood_data import extract_task, make_backbone, open_task
from ncapps.benchmarks.ood_settings import (
    KnownSettings,
    NetworkSettings,
    OODSettings,
    TaskSettings,
    UnknownSettings,
)
from ncapps.benchmarks.openood import OPENOOD
from ncapps.errors import InputError
from ncapps.features import BackboneSpec, build_model
from ncapps.features.extract import FeatureExtractor

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "ood"


@pytest.fixture
def settings(tmp_path):
    return make_world(tmp_path)


def with_unknown(settings, **changes):
    task = settings.tasks[0]
    return replace(task, unknown=[replace(task.unknown[0], **changes)])


def test_the_first_by_hash_calibrate_and_the_others_are_reported_on(settings, tmp_path):
    sources = open_task(settings.tasks[0], settings)
    with zipfile.ZipFile(tmp_path / "held.zip") as archive:
        ordered = sorted(archive.namelist(), key=lambda name: hashlib.sha256(archive.read(name)).hexdigest())
    assert set(sources.validation.keys) == set(ordered[:24])
    assert set(sources.report.keys) == set(ordered[24:])
    assert len(sources.fit) == 18
    assert sources.groups == {"tin": "near", "specks": "far"}


def test_only_listed_images_are_taken(settings):
    sources = open_task(settings.tasks[0], settings)
    assert sources.unknown["tin"].keys == (
        "val/0.png",
        "val/10.png",
        "val/2.png",
        "val/4.png",
        "val/6.png",
        "val/8.png",
    )
    assert len(sources.unknown["specks"]) == 8


def test_a_list_may_be_a_file_and_must_name_images_of_the_set(settings, tmp_path):
    (tmp_path / "list.txt").write_text("a/3.png -1\n", encoding="utf-8")
    sources = open_task(with_unknown(settings, listed_in="list.txt"), settings)
    assert sources.unknown["tin"].keys == ("val/3.png",)
    (tmp_path / "list.txt").write_text("a/none.png -1\n", encoding="utf-8")
    with pytest.raises(InputError, match="list.txt names no image of near.zip"):
        open_task(with_unknown(settings, listed_in="list.txt"), settings)
    with pytest.raises(InputError, match="lists.zip holds no list called nothing.txt"):
        open_task(with_unknown(settings, listed_in="lists.zip/nothing.txt"), settings)
    with pytest.raises(InputError, match=r"the image list .*other.zip cannot be opened"):
        open_task(with_unknown(settings, listed_in="other.zip/a.txt"), settings)


def test_without_reporting_images_the_known_ones_are_split_by_class(settings):
    task = replace(settings.tasks[0], known=KnownSettings(fit="held.zip", split=(0.5, 0.25, 0.25)))
    sources = open_task(task, settings)
    parts = (sources.fit, sources.validation, sources.report)
    assert [len(part) for part in parts] == [30, 15, 15]
    assert len({key for part in parts for key in part.keys}) == 60
    assert all(part.labels.count("cat") * 3 == len(part) for part in parts)
    other = open_task(task, replace(settings, seed=1))
    assert other.report.keys != sources.report.keys


def test_the_images_to_fit_on_can_be_drawn_evenly(settings):
    few = open_task(settings.tasks[0], replace(settings, fit_images=9)).fit
    assert [few.labels.count(name) for name in ("bird", "cat", "dog")] == [3, 3, 3]
    assert open_task(settings.tasks[0], replace(settings, fit_images=9)).fit.keys == few.keys
    assert open_task(settings.tasks[0], replace(settings, fit_images=9, seed=2)).fit.keys != few.keys
    assert len(open_task(settings.tasks[0], replace(settings, fit_images=18)).fit) == 18


def test_noise_is_drawn_from_the_seed(settings):
    task = with_unknown(settings, images="noise", listed_in="")
    first, again = (open_task(task, settings).unknown["tin"] for _ in range(2))
    assert len(first) == 1000
    assert first.fingerprint() == again.fingerprint()
    assert open_task(task, replace(settings, seed=1)).unknown["tin"].fingerprint() != first.fingerprint()


def test_reporting_images_of_other_classes_are_refused(settings):
    task = replace(settings.tasks[0], known=KnownSettings(fit="fit.zip", report="near.zip"))
    with pytest.raises(InputError, match="near.zip must hold images of the classes of fit.zip"):
        open_task(task, settings)
    with pytest.raises(InputError, match="far.zip has no class names"):
        open_task(replace(task, known=KnownSettings(fit="far.zip")), settings)


def test_features_are_extracted_once_and_the_heads_rows_are_sorted(settings, monkeypatch):
    task = settings.tasks[0]
    sources = open_task(task, settings)
    found = extract_task(task, task.networks[0], sources, settings, progress=False)
    assert [len(part) for part in (found.fit, found.validation, found.report)] == [18, 24, 36]
    assert found.report.keys == sources.report.keys
    backbone = make_backbone(task, task.networks[0], settings)
    assert np.array_equal(found.head.weight, backbone.head.weight[[1, 2, 0]])
    assert found.head(found.report.values)[:, 1] == pytest.approx(found.report.logits[:, 2], abs=1e-4)
    assert found.provenance["sets"]["tin"]["images"] == 6
    assert found.provenance["sets"]["fit"]["fingerprint"] == sources.fit.fingerprint()
    monkeypatch.setattr("ncapps.features.extract.Pass", NoPass)
    monkeypatch.setattr(FeatureExtractor, "_ready", lambda self: None)
    again = extract_task(task, task.networks[0], sources, settings, progress=False)
    assert np.array_equal(again.unknown["tin"].values, found.unknown["tin"].values)


class NoPass:
    """A pass over images that may be begun, but over none."""

    def __init__(self, *args, images, **more):
        assert images == 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def test_openoods_words_for_weights_are_translated(tmp_path):
    spec = BackboneSpec(name="resnet18", num_classes=10, small_stem=True)
    model = build_model(spec, seed=1)
    torch.save({name.replace("downsample", "shortcut"): value for name, value in model.state_dict().items()},
               tmp_path / "best.ckpt")  # fmt: skip
    network = NetworkSettings(
        name="R18", spec=replace(spec, checkpoint="best.ckpt", std=(0.5, 0.5, 0.5)), rename={"shortcut": "downsample"}
    )
    task = TaskSettings(name="c", networks=[network], openood="cifar10")
    backbone = make_backbone(task, network, OODSettings(tasks=[task], root=str(tmp_path)))
    for name, value in model.state_dict().items():
        assert torch.equal(backbone.model.state_dict()[name], value)
    assert backbone.preprocessing == replace(OPENOOD["cifar10"].preprocessing, std=(0.5, 0.5, 0.5))
    with pytest.raises(InputError, match=r"has layer2.0.shortcut.* that the model lacks"):
        make_backbone(task, replace(network, rename={"cut": "down"}), OODSettings(tasks=[task], root=str(tmp_path)))


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "imagenet200", "imagenet1k"])
def test_openood_configs_use_their_benchmark(name):
    settings = config.load(OODSettings, CONFIGS / f"{name}.yaml")
    assert [task.openood for task in settings.tasks] == [name]
    with pytest.raises(InputError, match="no complete OpenOOD v1.5 data folder"):
        open_task(settings.tasks[0], replace(settings, root="nowhere"))
    assert config.from_dict(OODSettings, json.loads(json.dumps(config.to_dict(settings)))) == settings


def test_the_shared_config_keeps_development_sets_apart():
    settings = config.load(OODSettings, CONFIGS / "shared_cifar10.yaml")
    cifar, trash = settings.tasks
    groups = {unknown.name: unknown.group for unknown in cifar.unknown}
    assert {name for name, group in groups.items() if group == "near"} == {"cifar100", "tin"}
    assert {name for name, group in groups.items() if group == "far"} == {"mnist", "dtd"}
    assert cifar.known.validation == 1000
    assert [network.name for network in cifar.networks] == ["ResNet-20", "ResNet-56"]
    assert {unknown.name for unknown in trash.unknown} == {"dtd", "cifar100"}


def test_settings_that_make_no_sense_are_refused(settings):
    task, network = settings.tasks[0], settings.tasks[0].networks[0]
    with pytest.raises(InputError, match="the group of x must be one of near, far, development, but 'nar' came"):
        UnknownSettings(name="x", group="nar", images="x.zip")
    with pytest.raises(InputError, match="network r has no weights"):
        NetworkSettings(name="r", spec=BackboneSpec(name="resnet18"))
    with pytest.raises(InputError, match="needs either openood, or known and unknown"):
        replace(task, openood="cifar10")
    with pytest.raises(InputError, match="needs either openood, or known and unknown"):
        TaskSettings(name="t", networks=[network])
    with pytest.raises(InputError, match="no benchmark 'cifar1'; did you mean 'cifar10'"):
        TaskSettings(name="t", networks=[network], openood="cifar1")
    with pytest.raises(InputError, match="two unknown sets of one name"):
        replace(task, unknown=task.unknown * 2)
    with pytest.raises(InputError, match="one task or more"):
        replace(settings, tasks=[])
    with pytest.raises(InputError, match="networks, each with a name of its own"):
        replace(settings, tasks=[replace(task, networks=[network, network])])
    with pytest.raises(InputError, match="level is a share between 0 and 1, but 95 came"):
        replace(settings, level=95)


def test_an_unlabelled_folder_below_data_is_an_unknown_set(settings, tmp_path):
    (tmp_path / "loose").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "loose" / "a.png")
    sources = open_task(with_unknown(settings, images="loose", listed_in=""), settings)
    assert len(sources.unknown["tin"]) == 1
