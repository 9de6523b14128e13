"""Settings of an FSCIL benchmark: the configs load, and mistakes are told."""

from pathlib import Path

import pytest

from ncapps import config
from ncapps.benchmarks.fscil_heads import head_names
from ncapps.benchmarks.fscil_lists import LAYOUTS
from ncapps.benchmarks.fscil_settings import FSCILSettings
from ncapps.errors import InputError
from ncapps.training import TrainSettings

ROOT = Path(__file__).resolve().parents[2]


def test_every_layout_has_a_config(monkeypatch):
    monkeypatch.chdir(ROOT)
    loaded = [config.load(FSCILSettings, path) for path in sorted(Path("configs/fewshot").glob("fscil_*.yaml"))]
    assert {settings.layout for settings in loaded} == set(LAYOUTS)
    assert all(settings.train.feature_scale == 16 for settings in loaded)
    parsed = config.parse(FSCILSettings, ["--config", "configs/fewshot/fscil_cifar100_shared.yaml"])
    assert parsed.train == config.load(TrainSettings, "configs/train/cifar100_base60.yaml")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"layout": "cifar"}, "no FSCIL layout 'cifar'"),
        ({"heads": ["cecc"]}, "did you mean 'cec'"),
        ({"head_settings": {"tean": {}}}, "did you mean 'teen'"),
        ({"heads": ["teen"], "head_settings": {"fact": {}}}, "head_settings name fact"),
        ({"redraws": 1}, "2 redraws or more"),
        ({"turned_images": -1}, "turned_images"),
        ({"level": 95.0}, "write 0.95"),
    ],
)
def test_mistakes_are_told(changes, text):
    with pytest.raises(InputError, match=text):
        FSCILSettings(**changes)


def test_a_head_may_run_under_several_settings():
    settings = FSCILSettings(heads=["teen", "teen.0.5"], head_settings={"teen.0.5": {"weight": 0.5}})
    assert settings.names == ["teen", "teen.0.5"]
    every = FSCILSettings(head_settings={"teen": {"weight": 0.1}, "teen.0.5": {"weight": 0.5}}).names
    assert every == [*head_names(), "teen.0.5"]
