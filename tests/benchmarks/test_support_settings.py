from pathlib import Path

import pytest
import timm

from ncapps import config
from ncapps.benchmarks.support_settings import SupportSettings
from ncapps.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_the_config_names_104_architectures_that_timm_knows():
    settings = config.load(SupportSettings, ROOT / "configs/compress/support.yaml")
    assert len(settings.architectures) == 104
    assert [name for name in settings.architectures if not timm.is_model(name)] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architectures": ()}, "architectures must name one or more, each once"),
        ({"architectures": ("resnet18", "resnet18")}, "each once"),
        ({"images": 1}, "images must be 3 or more"),
        ({"least_effect": 1e-6}, "least_effect 0.0001 or more"),
    ],
)
def test_mistakes_get_one_clear_line(change, words):
    with pytest.raises(InputError, match=words):
        SupportSettings(**{"output": "", "architectures": ("resnet18",), **change})
