from pathlib import Path

import pytest

from ncapps import config
from ncapps.benchmarks.rank_settings import RankNetwork, RankSet, RankTrialSettings
from ncapps.errors import InputError

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "transfer"


def test_the_config_holds_enough_networks_and_sets():
    settings = config.load(RankTrialSettings, CONFIGS / "shared.yaml")
    assert len(settings.networks) >= 6
    assert len(settings.sets) >= 4
    assert settings.networks[1].spec.image_size == 96
    assert settings.networks[1].spec.checkpoint == settings.networks[0].spec.checkpoint


def test_bad_settings_are_told():
    networks, sets = [RankNetwork(name=name) for name in "abc"], [RankSet(name="s", images="s.zip")]
    with pytest.raises(InputError, match="three networks and one set or more"):
        RankTrialSettings(networks=networks[:2], sets=sets)
    with pytest.raises(InputError, match="networks need names of their own"):
        RankTrialSettings(networks=[*networks, networks[0]], sets=sets)
    with pytest.raises(InputError, match="d: train and train_images go together"):
        RankNetwork(name="d", train="digits.yaml")
