"""Classes in steps from pictures to a file, and its figures on points that any metric can tell."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from blobs import blobs
from ood_world import write_weights, write_zip

from ncapps import config
from ncapps.benchmarks.class_incremental import ClassIncrementalSettings, run_class_incremental, run_order
from ncapps.benchmarks.generalized_few_shot_settings import GeneralizedSet
from ncapps.errors import InputError
from ncapps.features import BackboneSpec

ROOT = Path(__file__).resolve().parents[2]


def test_the_recipe_writes_every_metric(tmp_path, monkeypatch, capsys):
    write_zip(tmp_path / "photos.zip", [f"{name}/{i}.png" for name in "abcdef" for i in range(12)], 0)
    write_weights(tmp_path / "net.safetensors", ("x", "y", "z"))
    network = BackboneSpec(name="cifar_resnet20", checkpoint="net.safetensors")
    settings = ClassIncrementalSettings(
        sets=[GeneralizedSet(name="photos", images="photos.zip", network=network, least_images=10)],
        data=str(tmp_path), cache=str(tmp_path / "cache"), metrics=["plda", "cosine"], orders=2,
    )  # fmt: skip
    config.dump(settings, tmp_path / "steps.yaml")
    out = tmp_path / "found.json"
    monkeypatch.setattr("sys.argv", ["x", "--config", str(tmp_path / "steps.yaml"), "--results", str(out)])
    runpy.run_path(str(ROOT / "recipes" / "class_incremental.py"), run_name="__main__")
    report = json.loads(out.read_text())
    assert report["settings"] == config.to_dict(settings)
    assert list(report["sets"]["photos"]) == ["plda", "cosine"]
    for found in report["sets"]["photos"].values():
        assert list(found) == ["average", "last", "forgotten", "joint"]
    assert f"written to {out}" in capsys.readouterr().out


@pytest.mark.parametrize("metric", ["plda", "cosine", "mahalanobis"])
def test_what_steps_teach_is_what_all_classes_at_once_do(metric):
    X, y = blobs(classes=9, each=20)
    found = run_order(metric, X, y, ClassIncrementalSettings(), 0)
    assert found["joint"] > 0.95
    assert found["last"] == pytest.approx(found["joint"], abs=0.03)
    assert found["forgotten"] == pytest.approx(0, abs=0.06)
    assert found["average"] > 0.95


def test_classes_that_are_hard_to_tell_are_forgotten():
    X, y = blobs(classes=9, each=30)
    noisy = X + np.random.default_rng(0).normal(0, 6 * X.std(), X.shape)
    found = run_order("euclidean", noisy, y, ClassIncrementalSettings(), 0)
    assert found["forgotten"] > 0.05
    assert found["average"] > found["last"]


def test_the_config_is_read():
    settings = config.load(ClassIncrementalSettings, ROOT / "configs" / "fewshot" / "class_incremental.yaml")
    assert settings.orders >= 2


@pytest.mark.parametrize(
    ("changed", "text"),
    [({"metrics": ["cosin"]}, "no metric 'cosin'"), ({"steps": 1}, "2 or more"), ({"asked_share": 30.0}, "shares")],
)
def test_errors_name_the_cause(changed, text):
    with pytest.raises(InputError, match=text):
        ClassIncrementalSettings(**changed)
    with pytest.raises(InputError, match="make six, but the labels name 4"):
        run_order("cosine", np.eye(4).repeat(3, axis=0), np.arange(4).repeat(3), ClassIncrementalSettings(), 0)
    assert run_class_incremental(ClassIncrementalSettings())["sets"] == {}
