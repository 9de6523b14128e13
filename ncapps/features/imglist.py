"""OpenOOD's list files: on each line a path below the data folder, a space, and a label."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import NamedTuple

from ncapps.errors import InputError
from ncapps.features.decode import MAX_PIXELS
from ncapps.features.folder import FileSource
from ncapps.features.layout import is_image_name
from ncapps.features.source import as_key

_PROBE = 100


class Listed(NamedTuple):
    """One line of a list: the image's path below the data folder, and its label; None where it has none."""

    path: str
    label: int | None


def open_imglist(path: str | Path, folder: str | Path, *, max_pixels: int = MAX_PIXELS) -> FileSource:
    """Return the images of an OpenOOD list file, in its order; their keys are the listed paths.

    Parameters
    ----------
    path : str or Path
        The list, such as `benchmark_imglist/cifar10/test_tin.txt`.
    folder : str or Path
        What the listed paths are relative to, such as `images_classic`.
    max_pixels : int
        The most pixels of an image that is decoded.

    Returns
    -------
    FileSource
        Labels are integers, -1 for images of no known class; None for a list without labels.

    Raises
    ------
    InputError
        If the list or the folder is missing, a line is malformed (it is named), or no listed file exists.
    """
    path, folder = Path(path), Path(folder)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8; is it a list of images?") from None
    except OSError as error:
        raise InputError(f"the image list {path} cannot be opened: {error.strerror or error}") from None
    listed = parse_imglist(text, str(path))
    files = [os.path.join(folder, line.path) for line in listed]
    if not any(os.path.exists(file) for file in files[:_PROBE]):
        raise InputError(
            f"{path} lists {listed[0].path}, but neither it nor the next lines' files are in {folder}; "
            "are the images unpacked there?"
        )
    labels = None if listed[0].label is None else [line.label for line in listed if line.label is not None]
    return FileSource(path.name, files, [as_key(line.path) for line in listed], labels, max_pixels=max_pixels)


def parse_imglist(text: str, name: str) -> list[Listed]:
    r"""Return the lines of a list file's text; `name` is the list's, for the errors.

    Three kinds of line are known: `tin/val/images/val_2.JPEG -1`, split at the first space; the same with a dict in
    place of the label, whose "class_label" is taken (lists for MOS); and a path alone, which may hold spaces.

    Raises
    ------
    InputError
        If there is no line, a path is absolute, a label is none, or only some lines have one.

    Examples
    --------
    >>> parse_imglist("cat/1.png 0\ncat/2.png 0\n", "train.txt")
    [Listed(path='cat/1.png', label=0), Listed(path='cat/2.png', label=0)]
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise InputError(f"{name} lists no images; expected lines such as cifar10/test/cat/0001.png 3")
    listed = [_parse(line, f"{name}: line {number}") for number, line in lines]
    for (number, _), one in zip(lines, listed, strict=True):
        if (one.label is None) != (listed[0].label is None):
            has, other = ("no", "a") if one.label is None else ("a", "none")
            raise InputError(
                f"{name}: line {number} has {has} label, but the first line has {other}; label all or none"
            )
    return listed


def _parse(line: str, where: str) -> Listed:
    path, _, rest = line.partition(" ")
    if is_image_name(line):
        path, rest = line, ""
    if path.startswith("/"):
        raise InputError(f"{where}: {path} is absolute; paths in a list are relative to the data folder")
    if "\0" in path:
        raise InputError(f"{where} holds a zero byte; is it a list of images?")
    return Listed(path, _label(rest.strip(), where) if rest.strip() else None)


def _label(text: str, where: str) -> int:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None
    if isinstance(value, dict):
        value = value.get("class_label")
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{where}: the label {text!r:.60} is no integer; expected a line such as cat/0001.png 3")
    return value
