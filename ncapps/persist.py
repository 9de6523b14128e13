"""One safetensors file with a JSON header: versioned, written atomically, never pickle."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ncapps.errors import InputError

_HEADER_KEY = "ncapps"


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: no reader ever sees half a file."""
    path = Path(path)
    # Not tempfile.mkstemp: its file is private whatever the umask says, and other users have to read the result.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; name the file to write")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise InputError(f"{path} can't be written ({error.strerror}); is its folder right, and writable?") from None
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def save(
    path: str | Path, kind: str, version: int, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]
) -> None:
    """Write arrays and a JSON-able header to one file; `kind` says what object it holds."""
    from safetensors.numpy import save as to_bytes

    text = json.dumps({"kind": kind, "version": version, **header}, sort_keys=True)
    data = to_bytes(
        {name: np.asarray(array, order="C") for name, array in arrays.items()}, metadata={_HEADER_KEY: text}
    )
    write_atomically(path, lambda temporary: temporary.write_bytes(data))


def load(path: str | Path, kind: str, version: int, oldest: int = 1) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `save` wrote; return the arrays by name and the header.

    Parameters
    ----------
    version, oldest : int
        The newest and the oldest version of the format that the caller can read.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind, or of a version that can't be read.
    """
    header = read_header(path)
    if header.get("kind") != kind:
        raise InputError(f"{path} holds a {header.get('kind')!r}, but a {kind!r} was expected")
    if header["version"] > version:
        raise InputError(
            f"{path} was written in version {header['version']} of the format, this ncapps reads up to {version}; "
            "upgrade ncapps"
        )
    if header["version"] < oldest:
        raise InputError(
            f"{path} was written in version {header['version']} of the format, this ncapps reads {oldest} or later; "
            "fit and save it again"
        )
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path), header
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); was it copied or downloaded in full?") from None


def read_header(path: str | Path) -> dict[str, Any]:
    """Read the JSON header alone: cheap, whatever the file's size."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; is the path right?")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is damaged or not a safetensors file ({error}); was it copied in full?") from None
    if _HEADER_KEY not in metadata:
        raise InputError(f"{path} is a safetensors file, but not one that ncapps wrote")
    try:
        header = json.loads(metadata[_HEADER_KEY])
    except json.JSONDecodeError:
        header = None
    if not isinstance(header, dict) or not isinstance(header.get("version"), int):
        raise InputError(f"{path} has a damaged header; was it written by other means than ncapps?")
    return header
