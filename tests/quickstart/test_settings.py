from pathlib import Path

from ncapps import config
from ncapps.quickstart import digits_settings
from ncapps.training import TrainSettings


def test_the_config_of_the_recipes_holds_the_same_settings():
    path = Path(__file__).parents[2] / "configs" / "train" / "digits.yaml"
    assert config.load(TrainSettings, path) == digits_settings(0)


def test_only_the_seed_changes():
    assert config.to_dict(digits_settings(5)) == {**config.to_dict(digits_settings(0)), "seed": 5}
