"""Frozen dataclasses from YAML files and flags: strict types, unknown keys refused, one line a mistake."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import ArgumentError, ArgumentParser

from ncapps import persist
from ncapps.errors import InputError

T = TypeVar("T")


def parse(settings_class: type[T], argv: Sequence[str] | None = None) -> T:
    """Return settings from the command line: `--config FILE` and flags; flags win over the file.

    For scripts: a mistake prints one line to standard error and exits with status 2.

    Parameters
    ----------
    settings_class : type
        A frozen dataclass; each field is a key of the YAML file and a flag of the same spelling.
    argv : sequence of str, optional
        The arguments; those of the process when left out.
    """
    arguments = _config_first(list(sys.argv[1:] if argv is None else argv))
    try:
        return _read(settings_class, lambda parser: parser.parse_args(arguments), _config_named(arguments))
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None


def parse_with_results(settings_class: type[T], default: str) -> tuple[T, str]:
    """Return settings from the command line, as `parse` does, and where `--results FILE` says that figures go."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--results", default=default, help="the file for the figures")
    own, rest = parser.parse_known_args()
    if {"-h", "--help"} & set(rest):
        parser.print_help()
    return parse(settings_class, rest), own.results


def load(settings_class: type[T], path: str | Path) -> T:
    """Return settings from a YAML file, by the same rules as `parse`, but raising instead of exiting.

    Raises
    ------
    InputError
        If the file is missing or not YAML, a key is unknown, a value is of another type, or the class refuses it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; is the path to the config right?")
    text = path.read_text(encoding="utf-8")
    return _read(settings_class, lambda parser: parser.parse_string(text), str(path))


def from_dict(settings_class: type[T], values: Mapping[str, Any], source: str = "") -> T:
    """Return settings from a plain dictionary, as `to_dict` gave it; `source` stands in front of an error's text."""
    return _read(settings_class, lambda parser: parser.parse_object(dict(values)), source)


def to_dict(settings: Any) -> dict[str, Any]:
    """Return the settings as plain, JSON-able data: every field, defaults included; tuples become lists.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Settings:
    ...     size: tuple[int, int] = (32, 32)
    >>> to_dict(Settings())
    {'size': [32, 32]}
    """
    return _plain(dataclasses.asdict(settings))


def dump(settings: Any, path: str | Path | None = None) -> str:
    """Return the resolved settings as YAML, and write them to `path` where one is given; `load` reads them back."""
    import yaml

    text = yaml.safe_dump(to_dict(settings), sort_keys=False, allow_unicode=True)
    if path is not None:
        persist.write_text(path, text)
    return text


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return '; did you mean ...?' where a known word is near, else '; known are: ...'."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; known are: {', '.join(known)}"


def _read(settings_class: type[T], read: Callable[[ArgumentParser], Any], source: str) -> T:
    parser = ArgumentParser(exit_on_error=False, description=_first_line(settings_class))
    parser.add_argument("--config", action="config", help="A YAML file of the settings; flags win over it.")
    parser.add_class_arguments(settings_class, as_group=False)
    prefix = f"{source}: " if source else ""
    try:
        found = read(parser)
        _check_groups(found, _keys(settings_class))
        values = parser.instantiate(found).as_dict()
        values.pop("config", None)
        return settings_class(**values)
    except ArgumentError as error:
        raise InputError(prefix + _explain(error.message, settings_class)) from None
    except ValueError as error:
        raise InputError(f"{prefix}{error}") from None


def _explain(message: str, settings_class: type) -> str:
    """Turn the parser's text into one line that names the key, what came, and the likely mend."""
    keys = _keys(settings_class)
    if found := re.match(r"Group '(.+)' does not accept option '(.+)'", message):
        group, key = found.groups()
        inside = [known[len(group) + 1 :] for known in keys if known.startswith(group + ".")]
        return f"unknown key {key!r} in {group!r}{did_you_mean(key, inside)}"
    if found := re.match(r"Option '(.+)' is not accepted", message):
        return f"unknown key {found[1]!r}{did_you_mean(found[1], keys)}"
    if found := re.match(r"unrecognized arguments: (\S+)", message):
        flag = found[1].split("=")[0]
        near = did_you_mean(flag.lstrip("-").replace("-", "_"), keys)
        return f"unknown flag {flag!r}{near.replace(chr(39), chr(39) + '--', 1) if 'did you' in near else near}"
    if found := re.search(r"File does not exist: '([^']+)'", message):
        return f"the config {found[1]} does not exist; is the path right?"
    if found := re.search(r'Parser key "([^"]+)": Unable to load config "([^"]+)"$', message):
        return f"the config {found[2]} for {found[1]!r} cannot be read; is the path right?"
    if found := re.match(r'Parser key "(.+?)":\s+Expected an? (.+)\. Got value: (.*)', message, flags=re.DOTALL):
        return f"{found[1]!r} must be {_type_in_words(found[2])}, but {found[3]!r} came"
    if message.startswith("Unexpected config"):
        return "a config is 'key: value' lines, but this one is empty or holds something else"
    if message.startswith("Problems parsing config: "):
        return "this is not YAML: " + " ".join(message.removeprefix("Problems parsing config: ").split())
    return " ".join(message.split())


def _check_groups(values: Any, keys: list[str]) -> None:
    for group in sorted({key.rpartition(".")[0] for key in keys} - {""}):
        if not hasattr(values.get(group), "keys"):
            raise InputError(f"{group!r} is a group of keys, but {values.get(group)!r} came")


def _type_in_words(text: str) -> str:
    text = re.sub(r"<class '(\w+\.)*(\w+)'>", r"\2", text).replace("typing.", "")
    if choices := re.fullmatch(r"Literal\[(.+)\]", text):
        return f"one of {choices[1]}"
    return text


def _keys(settings_class: Any, prefix: str = "") -> list[str]:
    keys = []
    for field in dataclasses.fields(settings_class):
        keys.append(prefix + field.name)
        inner = field.default_factory if dataclasses.is_dataclass(field.default_factory) else type(field.default)
        if dataclasses.is_dataclass(inner):
            keys += _keys(inner, f"{prefix}{field.name}.")
    return keys


def _config_first(arguments: list[str]) -> list[str]:
    """Move `--config FILE` to the front: the parser lets the later word win, and flags shall."""
    for place, word in enumerate(arguments):
        if word.startswith("--config="):
            return [word, *arguments[:place], *arguments[place + 1 :]]
        if word == "--config" and place + 1 < len(arguments):
            return [*arguments[place : place + 2], *arguments[:place], *arguments[place + 2 :]]
    return arguments


def _config_named(arguments: list[str]) -> str:
    """Return the config's path where nothing but the config can be at fault, else ''."""
    if len(arguments) == 1 and arguments[0].startswith("--config="):
        return arguments[0].removeprefix("--config=")
    return arguments[1] if len(arguments) == 2 and arguments[0] == "--config" else ""


def _first_line(settings_class: type) -> str:
    return (settings_class.__doc__ or settings_class.__name__).strip().splitlines()[0]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value
