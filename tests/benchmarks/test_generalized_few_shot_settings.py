from pathlib import Path

import pytest

from ncapps import config
from ncapps.benchmarks.generalized_few_shot_settings import GeneralizedFewShotSettings, GeneralizedSet
from ncapps.errors import InputError

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "fewshot"


def test_the_config_is_read_and_has_twenty_draws():
    settings = config.load(GeneralizedFewShotSettings, CONFIGS / "generalized.yaml")
    assert settings.draws == 20
    assert settings.shots == (1, 5)
    assert {"CIFAR-100", "Tiny ImageNet"} <= {one.name for one in settings.sets}


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"metrics": ["pldaa"]}, "no metric 'pldaa'; did you mean 'plda'"),
        ({"subject": "best"}, "no metric 'best'"),
        ({"sets": [GeneralizedSet(name="a", images="a.zip")] * 2}, "two sets have one name"),
        ({"draws": 1}, "2 draws or more and some shots, but 1"),
        ({"shots": ()}, "some shots"),
        ({"level": 95.0}, "write 0.95"),
    ],
)
def test_errors_name_the_cause(changed, text):
    with pytest.raises(InputError, match=text):
        GeneralizedFewShotSettings(**changed)
