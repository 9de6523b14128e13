"""The whole benchmark on few small images: trained on the base classes, cached, every head run, figures ready."""

import dataclasses
import json

import numpy as np
import pytest
from fscil_world import make_run

from ncapps.benchmarks import fscil_lists, fscil_protocol
from ncapps.benchmarks.fscil_data import FSCILSources, arrange
from ncapps.benchmarks.fscil_heads import head_names
from ncapps.benchmarks.fscil_lists import Layout
from ncapps.benchmarks.fscil_protocol import run_fscil, run_heads, trained_backbone
from ncapps.benchmarks.fscil_settings import FSCILSettings
from ncapps.errors import InputError
from ncapps.features.array_source import ArraySource
from ncapps.training import TrainSettings

LAYOUT = Layout(base=4, steps=2, ways=2, shots=2)
TRAIN = TrainSettings(backbone="cifar_resnet20", image_size=8, epochs=1, batch_size=8, feature_scale=16.0)
HEADS = {"cec": {"ways": 2, "new_ways": 2, "queries": 2, "episodes": 2}, "fact": {"epochs": 1}}


def images(per_class, seed):
    labels = np.repeat(list("abcdefgh"), per_class)
    rng = np.random.default_rng(seed)
    pixels = (
        rng.integers(0, 60, (len(labels), 8, 8, 3)) + 24 * (np.arange(len(labels)) // per_class)[:, None, None, None]
    )
    return ArraySource(pixels.astype(np.uint8), labels, name=f"images {seed}")


@pytest.fixture
def world(tmp_path, monkeypatch):
    train, test = images(6, 0), images(4, 1)
    listed = [np.arange(24), np.array([24, 25, 30, 31]), np.array([36, 37, 42, 43])]
    sources = arrange(train, test, listed, LAYOUT)
    monkeypatch.setitem(fscil_lists.LAYOUTS, "shared", LAYOUT)
    monkeypatch.setattr(fscil_protocol, "open_fscil", lambda settings: sources)
    settings = FSCILSettings(
        model=str(tmp_path / "model.safetensors"),
        cache=str(tmp_path / "cache"),
        train=TRAIN,
        turned_images=5,
        redraws=2,
        resamples=20,
        head_settings=HEADS,
    )
    return settings, sources, tmp_path


def test_the_whole_run_is_json_and_the_same_again(world):
    settings, _, folder = world
    found = run_fscil(settings)
    assert set(found["heads"]) == set(head_names())
    assert found["failed"] == {}
    assert set(found["comparison"]) == set(head_names()) - {found["subject"]}
    assert {name: one["images"] for name, one in found["data"]["sets"].items()} == {
        "base": 24,
        "pool": 24,
        "test": 32,
        "turned": 60,
    }
    stored = len(list((folder / "cache").iterdir()))
    again = run_fscil(settings)
    assert len(list((folder / "cache").iterdir())) == stored == 4
    for result in (found, again):
        for head in result["heads"].values():
            head.pop("seconds")
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(again))


def test_the_backbone_sees_base_classes_alone_and_is_trained_once(world):
    settings, sources, folder = world
    backbone = trained_backbone(settings, sources)
    assert backbone.classes == tuple("abcd")
    written = (folder / "model.safetensors").stat().st_mtime_ns
    trained_backbone(settings, sources)
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    other = FSCILSources(**{**vars(sources), "sessions": (tuple("abce"), ("d",))})
    with pytest.raises(InputError, match="trained on other classes"):
        trained_backbone(settings, other)


def test_a_head_that_cannot_run_is_told_and_the_others_go_on(monkeypatch):
    monkeypatch.setitem(fscil_lists.LAYOUTS, "shared", Layout(base=6, steps=2, ways=3))
    settings = FSCILSettings(heads=["cec", "teen"], redraws=2)
    runs, failed = run_heads(settings, make_run())
    assert [run.name for run in runs] == ["teen"]
    assert "an episode takes 30 classes" in failed["cec"]
    assert runs[0].redraws.shape == (2, 3, 240)


def test_redraws_follow_the_seed(monkeypatch):
    monkeypatch.setitem(fscil_lists.LAYOUTS, "shared", Layout(base=6, steps=2, ways=3))
    settings = FSCILSettings(heads=["average-cosine"], redraws=2)
    first, second = (run_heads(dataclasses.replace(settings, seed=seed), make_run())[0][0].redraws for seed in (0, 1))
    np.testing.assert_array_equal(first[1], second[0])
    assert (first[0] != second[0]).any()
