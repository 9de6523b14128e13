"""The photo benchmark on made-up pictures: parts are fixed by content, and the figures are those of the networks."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.models import create_model

from ncapps import config
from ncapps.benchmarks import photo_pruning
from ncapps.benchmarks.photo_pruning import PhotoPruningSettings, measure_photo_pruning, split_by_hash
from ncapps.errors import InputError
from ncapps.features import BackboneSpec

ROOT = Path(__file__).resolve().parents[2]


def write_photos(folder, classes, each, seed):
    rng = np.random.default_rng(seed)
    for place, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(each):
            pixels = rng.integers(0, 128, (36, 40, 3)) + 120 * (place % 2)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i}.png")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    write_photos(tmp_path / "things", ("dark", "light"), 12, seed=0)
    write_photos(tmp_path / "textures", ("a", "b", "c"), 4, seed=1)
    torch.manual_seed(0)
    model = create_model("mobilenetv2_035", num_classes=7)
    monkeypatch.setattr(photo_pruning, "build_model", lambda spec: model)
    return PhotoPruningSettings(
        name="tiny", checkpoint="tiny.safetensors", photos=("things", "textures"), labelled="things",
        output="out.json", data_root=str(tmp_path), macs=(0.8,), image_size=32,
    )  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1])
def test_parts_depend_on_the_content_alone(seed):
    hashes = np.asarray([f"{i:03d}" for i in range(20)])
    order = np.random.default_rng(seed).permutation(20)
    parts = split_by_hash(hashes[order].tolist(), 0.3, 0.15)
    found = {name: sorted(order[part].tolist()) for name, part in parts.items()}
    assert found == {
        "held_out": list(range(6)),
        "development": [6, 7, 8],
        "calibration": list(range(9, 20)),
    }
    with pytest.raises(InputError, match="none for held_out"):
        split_by_hash(hashes[:3].tolist(), 0.3, 0.3)


@pytest.mark.parametrize(("evaluate", "used"), [("held_out", 26), ("development", 21)])
def test_the_figures_are_those_of_the_networks(settings, evaluate, used):
    found = measure_photo_pruning(replace(settings, evaluate=evaluate))
    assert json.loads(json.dumps(found))["photos"] == {"held_out": 10, "development": 5, "calibration": 21}
    (row,) = found["rows"]
    assert row["macs_ratio"] == row["macs_after"] / row["macs_before"] <= 0.8
    assert row["images"] == used, "no photo that is asked about is calibrated on"
    assert row["asked"] == found["photos"][evaluate]
    low, high = row["agreement_95"]
    assert 0 <= low <= row["agreement"] <= high <= 1
    # Light against dark is in whatever features there are.
    assert found["dense"]["nearest_mean_accuracy"] == 1.0
    assert settings.data_root not in json.dumps(found)


def test_a_shift_of_nothing_agrees_with_itself_and_features_are_the_classifiers_input(settings):
    found = measure_photo_pruning(replace(settings, shift=0))
    assert found["dense"]["shifted"]["agreement"] == 1.0
    images = torch.randn(3, 3, 32, 32)
    moved = photo_pruning._shift(images, 2)
    assert torch.equal(moved[:, :, 2:, 2:], images[:, :, :-2, :-2])
    model: Any = photo_pruning.build_model(BackboneSpec(name="tiny")).eval()
    with torch.no_grad():
        features = model.forward_head(model.forward_features(images), pre_logits=True)
    assert np.allclose(photo_pruning._features(model, images, 2), features.numpy(), atol=1e-5)


def test_mistakes_and_the_config(settings):
    with pytest.raises(InputError, match="labelled"):
        replace(settings, labelled="others")
    with pytest.raises(InputError, match="evaluate"):
        replace(settings, evaluate="test")
    read = config.load(PhotoPruningSettings, ROOT / "configs/compress/mobilenetv2_photos.yaml")
    assert read.evaluate == "held_out"
    assert 0.6667 in read.macs
