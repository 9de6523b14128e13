"""The settings of the episode benchmark: what they refuse, what they draw, and the config that comes with it."""

from pathlib import Path

import pytest

from ncapps import config
from ncapps.benchmarks.episode_methods import EPISODE_METHODS
from ncapps.benchmarks.episode_settings import EpisodeBenchmarkSettings, EpisodeSet
from ncapps.errors import InputError
from ncapps.features import BackboneSpec

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "fewshot" / "episodes.yaml"
NETWORK = BackboneSpec(name="cifar_resnet20", checkpoint="net.safetensors")


def test_the_config_is_read_and_asks_for_a_thousand_episodes_of_one_and_five_shots():
    settings = config.load(EpisodeBenchmarkSettings, CONFIG)
    assert [one.name for one in settings.sets][:2] == ["Tiny ImageNet", "CIFAR-100"]
    draws = settings.draws()
    assert [(draw.shots, draw.concentration) for draw in draws] == [(1, None), (1, 2.0), (5, None), (5, 2.0)]
    assert all((draw.episodes, draw.ways, draw.queries) == (1000, 5, 15) for draw in draws)
    assert settings.compared() == list(EPISODE_METHODS)


def test_the_reference_is_always_compared():
    settings = EpisodeBenchmarkSettings(methods=["cl2n"], reference="cosine")
    assert settings.compared() == ["cl2n", "cosine"]
    assert EpisodeBenchmarkSettings(methods=["cosine"], reference="cosine").compared() == ["cosine"]


def test_errors_name_the_cause():
    with pytest.raises(InputError, match="there is no method 'cosin'; did you mean 'cosine'"):
        EpisodeBenchmarkSettings(methods=["cosin"])
    with pytest.raises(InputError, match="shots is empty"):
        EpisodeBenchmarkSettings(shots=())
    with pytest.raises(InputError, match="ways must be 2 or more, but 1 came"):
        EpisodeBenchmarkSettings(ways=1)
    one = EpisodeSet(name="a", images="a.zip", network=NETWORK)
    with pytest.raises(InputError, match="two sets have one name"):
        EpisodeBenchmarkSettings(sets=[one, one])
    with pytest.raises(InputError, match="base_share of a must be a share between 0 and 1, but 1.0 came"):
        EpisodeSet(name="a", images="a.zip", network=NETWORK, base_share=1.0)
    with pytest.raises(InputError, match="the network of a has no weights"):
        EpisodeSet(name="a", images="a.zip", network=BackboneSpec(name="cifar_resnet20"))
