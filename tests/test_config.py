from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from ncapps import config
from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Inner:
    batch_size: int = 4


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings to test with."""

    batch_size: int = 3
    rate: float = 0.1
    model: str = "resnet18"
    name: Literal["knn", "mds"] = "knn"
    size: tuple[int, int] = (32, 32)
    extra: dict[str, Any] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"batch_size must be 1 or more, but {self.batch_size} came")


@pytest.fixture
def write(tmp_path):
    def to_file(text: str) -> Path:
        path = tmp_path / "run.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


MISTAKES = {
    "typo": ("batchsize: 3", r"unknown key 'batchsize'; did you mean 'batch_size'\?"),
    "fraction for int": ("batch_size: 3.5", "'batch_size' must be int, but '3.5' came"),
    "yes for str": ("model: yes", "'model' must be str, but 'True' came"),
    "not a choice": ("name: knnn", "'name' must be one of 'knn', 'mds', but 'knnn' came"),
    "typo in a group": ("inner: {batchsize: 2}", r"unknown key 'batchsize' in 'inner'; did you mean 'batch_size'\?"),
    "value for a group": ("inner: 3", "'inner' is a group of keys, but 3 came"),
    "far from any key": ("zzz: 1", "unknown key 'zzz'; known are: batch_size, rate, model"),
    "refused by the class": ("batch_size: 0", "batch_size must be 1 or more, but 0 came"),
    "not YAML": ("[1, 2", "this is not YAML"),
    "a list": ("- 1", "a config is 'key: value' lines"),
    "empty": ("", "a config is 'key: value' lines"),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_in_a_file_gets_one_line_that_names_the_file(write, text, message):
    path = write(text)
    with pytest.raises(InputError, match=message) as caught:
        config.load(Settings, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_ends_a_script_with_status_2_and_the_same_line(write, capsys, text, message):
    with pytest.raises(SystemExit) as stopped:
        config.parse(Settings, ["--config", str(write(text))])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert pytest.raises(InputError, config.load, Settings, write(text)).value.args[0] in error


def test_missing_file(tmp_path, capsys):
    with pytest.raises(InputError, match="nowhere.yaml does not exist; is the path to the config right"):
        config.load(Settings, tmp_path / "nowhere.yaml")
    with pytest.raises(SystemExit) as stopped:
        config.parse(Settings, ["--config", str(tmp_path / "nowhere.yaml")])
    assert stopped.value.code == 2
    assert "does not exist; is the path right?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--batchsize", "3"], "unknown flag '--batchsize'; did you mean '--batch_size'?"),
        (["--batch-size=3"], "unknown flag '--batch-size'; did you mean '--batch_size'?"),
        (["--inner.batchsize", "3"], "unknown flag '--inner.batchsize'; did you mean '--inner.batch_size'?"),
        (["--batch_size", "many"], "'batch_size' must be int, but 'many' came"),
        (["--inner", "nowhere.yaml"], "the config nowhere.yaml for 'inner' cannot be read; is the path right?"),
        (["--batch_size", "0"], "batch_size must be 1 or more, but 0 came"),
    ],
)
def test_mistakes_in_flags(flags, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        config.parse(Settings, flags)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize("order", [0, 1])
def test_flags_win_over_the_file_wherever_they_stand(write, order):
    words = [["--config", str(write("batch_size: 9\nrate: 1e-3"))], ["--batch_size", "5"]]
    settings = config.parse(Settings, words[order] + words[1 - order])
    assert settings == Settings(batch_size=5, rate=1e-3)


def test_help_names_every_field(capsys):
    with pytest.raises(SystemExit) as stopped:
        config.parse(Settings, ["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert "Settings to test with." in text
    assert all(f"--{name}" in text for name in ("batch_size", "rate", "model", "name", "size", "extra", "inner"))


def test_what_is_dumped_is_loaded_as_the_same_settings(tmp_path):
    settings = Settings(batch_size=7, size=(16, 24), extra={"channels": [1, 2]}, inner=Inner(batch_size=2))
    text = config.dump(settings, tmp_path / "resolved.yaml")
    assert (tmp_path / "resolved.yaml").read_text(encoding="utf-8") == text
    assert config.load(Settings, tmp_path / "resolved.yaml") == settings
    assert config.from_dict(Settings, config.to_dict(settings)) == settings


def test_a_resolved_config_holds_every_field_with_its_default():
    assert config.to_dict(Settings()) == {
        "batch_size": 3,
        "rate": 0.1,
        "model": "resnet18",
        "name": "knn",
        "size": [32, 32],
        "extra": {},
        "inner": {"batch_size": 4},
    }


def test_from_dict_names_its_source():
    with pytest.raises(InputError, match=r"header: unknown key 'batchsize'; did you mean 'batch_size'\?"):
        config.from_dict(Settings, {"batchsize": 3}, "header")


def test_every_training_config_of_the_repository_loads():
    from ncapps.training import TrainSettings

    paths = sorted((Path(__file__).parents[1] / "configs" / "train").glob("*.yaml"))
    assert len(paths) >= 2
    for path in paths:
        assert isinstance(config.load(TrainSettings, path), TrainSettings)
