"""The generalized few-shot benchmark from pictures to a file, with a network of random weights."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ood_world import write_weights, write_zip

from ncapps import config
from ncapps.benchmarks import generalized_few_shot_protocol as protocol
from ncapps.benchmarks.generalized_few_shot_protocol import read_set, run_generalized_few_shot
from ncapps.benchmarks.generalized_few_shot_settings import GeneralizedFewShotSettings, GeneralizedSet
from ncapps.errors import InputError
from ncapps.features import BackboneSpec

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "few_shot.py"


@pytest.fixture
def settings(tmp_path):
    names = [f"{name}/{i}.png" for name in "abcde" for i in range(12)] + ["few/0.png"]
    write_zip(tmp_path / "photos.zip", names, 0)
    write_weights(tmp_path / "net.safetensors", ("x", "y", "z"))
    network = BackboneSpec(name="cifar_resnet20", checkpoint="net.safetensors")
    return GeneralizedFewShotSettings(
        sets=[GeneralizedSet(name="photos", images="photos.zip", network=network, least_images=10)],
        data=str(tmp_path),
        cache=str(tmp_path / "cache"),
        metrics=["plda", "cosine"],
        easyfsl=False,
        draws=3,
        asked=4,
    )


def test_the_recipe_writes_every_metric_of_every_draw(settings, tmp_path, monkeypatch, capsys):
    config.dump(settings, tmp_path / "few.yaml")
    out = tmp_path / "few_shot.json"
    monkeypatch.setattr("sys.argv", ["few_shot.py", "--config", str(tmp_path / "few.yaml"), "--results", str(out)])
    runpy.run_path(str(RECIPE), run_name="__main__")
    report = json.loads(out.read_text())
    assert report["settings"] == config.to_dict(settings)
    assert (report["data"]["photos"]["classes"], report["data"]["photos"]["classes_too_small"]) == (5, 1)
    for shots in ("1", "5"):
        assert {name: len(draws) for name, draws in report["harmonic_means"]["photos"][shots].items()} == {
            "plda": 3,
            "cosine": 3,
        }
        mean, low, high = report["pooled"][shots]["cosine"]["lead"]
        assert low <= mean <= high
        # Two new classes, four questions each, three draws.
        assert report["calibration"][shots]["plda"]["images"] == 24
    assert f"written to {out}" in capsys.readouterr().out


def test_a_finished_draw_is_not_run_again_unless_what_it_depends_on_changed(settings, monkeypatch):
    first = run_generalized_few_shot(settings)
    run, ran = protocol.run_draw, []
    monkeypatch.setattr(protocol, "run_draw", lambda *rest: ran.append(rest[-1]) or run(*rest))
    more = run_generalized_few_shot(replace(settings, draws=4))
    assert ran == [3]
    assert more["harmonic_means"]["photos"]["5"]["plda"][:3] == first["harmonic_means"]["photos"]["5"]["plda"]
    run_generalized_few_shot(replace(settings, asked=3))
    assert ran == [3, 0, 1, 2]
    # The classifiers have the seed too: draws 1 and 2 are other ones under it.
    run_generalized_few_shot(replace(settings, seed=1))
    assert ran == [3, 0, 1, 2, 1, 2, 3]


def test_classes_that_a_trained_network_knows_are_left_out(settings, tmp_path):
    from ncapps.training import TrainSettings, train

    write_zip(tmp_path / "known.zip", [f"{name}/{i}.png" for name in "ab" for i in range(12)], 1)
    how = TrainSettings(
        backbone="resnet18", model_kwargs={"channels": [8, 8, 8, 8], "layers": [1, 1, 1, 1]}, image_size=32, epochs=1,
        batch_size=8, small_stem=True,
    )  # fmt: skip
    train(how, tmp_path / "known.zip").save(tmp_path / "own.safetensors")
    one = replace(settings.sets[0], trained=str(tmp_path / "own.safetensors"))
    features, labels, _ = read_set(one, settings.data, settings.cache)
    assert set(labels) == {"c", "d", "e"}
    assert features.shape == (36, 8)
    assert features.dtype == np.float64


def test_errors_name_the_cause(settings):
    with pytest.raises(InputError, match=r"missing\.zip"):
        run_generalized_few_shot(replace(settings, sets=[replace(settings.sets[0], images="missing.zip")]))
