"""One safetensors file with a JSON header: versioned, written atomically, never pickle."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ncapps.errors import InputError

_HEADER_KEY = "ncapps"


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: no reader ever sees half a file."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
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
    data = to_bytes({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata={_HEADER_KEY: text})
    write_atomically(path, lambda temporary: temporary.write_bytes(data))


def load(path: str | Path, kind: str, version: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `save` wrote; return the arrays by name and the header.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind, or of a newer version.
    """
    header = read_header(path)
    if header.get("kind") != kind:
        raise InputError(f"{path} holds a {header.get('kind')!r}, but a {kind!r} was expected")
    if header["version"] > version:
        raise InputError(
            f"{path} was written in version {header['version']} of the format, this ncapps reads up to {version}; "
            "upgrade ncapps"
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
    header = json.loads(metadata[_HEADER_KEY])
    if not isinstance(header, dict) or not isinstance(header.get("version"), int):
        raise InputError(f"{path} has a damaged header")
    return header
