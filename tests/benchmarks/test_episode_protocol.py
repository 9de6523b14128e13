"""The episode benchmark from pictures to a file, with a network of random weights; and on real features' classes."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ood_world import write_weights, write_zip

from ncapps import config
from ncapps.benchmarks import episode_protocol
from ncapps.benchmarks.episode_methods import EPISODE_METHODS
from ncapps.benchmarks.episode_protocol import large_classes, measure_speed, run_episodes, split_classes
from ncapps.benchmarks.episode_settings import EpisodeBenchmarkSettings, EpisodeSet
from ncapps.errors import InputError
from ncapps.features import BackboneSpec, FeatureStore

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "episodes.py"
METHODS = ["cosine", "cl2n", "bd_cspn"]


@pytest.fixture
def settings(tmp_path):
    write_zip(tmp_path / "new.zip", [f"{name}/{i}.png" for name in "abcdef" for i in range(8)], 0)
    write_zip(tmp_path / "base.zip", [f"{name}/{i}.png" for name in "xyz" for i in range(4)], 1)
    write_weights(tmp_path / "net.safetensors", ("x", "y", "z"))
    network = BackboneSpec(name="cifar_resnet20", checkpoint="net.safetensors")
    return EpisodeBenchmarkSettings(
        sets=[
            EpisodeSet(name="halves", images="new.zip", network=network),
            EpisodeSet(name="other", images="new.zip", base="base.zip", network=network),
        ],
        data=str(tmp_path),
        cache=str(tmp_path / "cache"),
        methods=METHODS,
        reference="cosine",
        episodes=20,
        ways=3,
        queries=2,
        shots=(1, 2),
        speed_episodes=0,
    )


def test_the_recipe_writes_every_method_of_every_draw(settings, tmp_path, monkeypatch, capsys):
    config.dump(settings, tmp_path / "episodes.yaml")
    out = tmp_path / "episodes.json"
    monkeypatch.setattr("sys.argv", ["episodes.py", "--config", str(tmp_path / "episodes.yaml"), "--results", str(out)])
    runpy.run_path(str(RECIPE), run_name="__main__")
    report = json.loads(out.read_text())
    assert report["settings"] == config.to_dict(settings)
    assert report["environment"]["seed"] == 0
    halves, other = report["sets"]
    assert (halves["base_classes"], halves["episode_classes"], halves["episode_images"]) == (3, 3, 24)
    assert halves["classes_too_small"] == 0
    assert (other["base_classes"], other["episode_classes"], other["episode_images"]) == (3, 6, 48)
    assert len(other["base_images"]) == len(other["images"]) == 64
    for one in (halves, other):
        found = [(row["shots"], row["concentration"], row["method"]) for row in one["rows"]]
        assert found == [(shots, how, name) for shots in (1, 2) for how in (None, 2.0) for name in METHODS]
        for row in one["rows"]:
            assert 0 <= row["accuracy"] <= 1
            assert row["half_width"] > 0
            assert row["transductive"] == (row["method"] == "bd_cspn")
            if row["method"] == "cosine":
                assert row["difference"] == row["difference_half_width"] == 0
        assert any(row["difference"] for row in one["rows"])
    printed = capsys.readouterr().out
    assert "halves, 1 shots, balanced, cosine: " in printed
    assert f"written to {out}" in printed


def test_features_are_read_once_and_episodes_come_from_new_classes_alone(settings, monkeypatch):
    first = run_episodes(settings)
    seen = []
    original = episode_protocol.draw_episodes
    monkeypatch.setattr(
        episode_protocol, "draw_episodes", lambda labels, draw: seen.append(set(labels)) or original(labels, draw)
    )
    monkeypatch.setattr(FeatureStore, "write", lambda *shard: pytest.fail("features were extracted again"))
    again = run_episodes(settings)
    strip = [{**row, "seconds": 0, "processor_milliseconds_an_episode": 0} for row in first["sets"][0]["rows"]]
    for row, expected in zip(again["sets"][0]["rows"], strip, strict=True):
        assert {**row, "seconds": 0, "processor_milliseconds_an_episode": 0} == expected
    base, new = split_classes(np.array(list("abcdef")), 0.5, 0)
    assert seen == [set(new)] * 4 + [set("abcdef")] * 4
    assert not set(base) & set(new)


def test_classes_are_split_by_the_seed_and_never_all():
    names = np.array(list("abcdefgh") * 2)
    base, new = split_classes(names, 0.25, 1)
    assert (len(base), len(new)) == (2, 6)
    assert set(base) | set(new) == set("abcdefgh")
    assert np.array_equal(split_classes(names[::-1], 0.25, 1)[0], base)
    assert {tuple(split_classes(names, 0.25, seed)[0]) for seed in range(9)} != {tuple(base)}
    assert [len(part) for part in split_classes(names[:2], 0.01, 0)] == [1, 1]
    with pytest.raises(InputError, match="need two classes or more, but the labels name 1"):
        split_classes(np.array(["a"]), 0.5, 0)


def test_classes_with_too_few_images_are_left_out_and_counted(settings, tmp_path):
    names = [f"{name}/{i}.png" for name in "abcde" for i in range(4)] + [f"f/{i}.png" for i in range(3)]
    write_zip(tmp_path / "new.zip", names, 3)
    one = replace(settings.sets[1], least_images=4)
    report = run_episodes(replace(settings, sets=[one]))["sets"][0]
    assert (report["episode_classes"], report["classes_too_small"], report["episode_images"]) == (5, 1, 20)
    assert large_classes(np.array(["a", "b", "a"]), 2).tolist() == [True, False, True]
    with pytest.raises(InputError, match=r"class 'f' has 3 image\(s\), but an episode takes 2 \+ 2 of a class"):
        run_episodes(replace(settings, sets=settings.sets[1:]))


def test_speed_is_that_of_drawing_and_of_both_methods():
    found = measure_speed(30)
    assert (found["episodes"], found["width"], set(found["methods"])) == (30, 512, {"euclidean", "cosine"})
    assert all(taken["seconds"] > 0 for taken in (found["drawing"], *found["methods"].values()))


def test_images_without_classes_are_refused(settings, tmp_path):
    write_zip(tmp_path / "flat.zip", [f"{i}.png" for i in range(3)], 2)
    flat = replace(settings.sets[0], images="flat.zip")
    with pytest.raises(InputError, match=r"flat.zip has no class names; expected one sub-folder a class"):
        run_episodes(replace(settings, sets=[flat]))


def test_the_methods_named_in_the_tests_are_there():
    assert set(METHODS) < set(EPISODE_METHODS)
