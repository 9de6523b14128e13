"""A list of images as CSV or TSV: a path and perhaps a label on each line."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ncapps.errors import InputError
from ncapps.features.decode import MAX_PIXELS
from ncapps.features.folder import FileSource
from ncapps.features.layout import is_image_name
from ncapps.features.source import as_key

DELIMITERS = {".csv": ",", ".tsv": "\t"}
_PATH_NAMES = (
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "image",
    "image_path",
    "img",
    "img_path",
)
_LABEL_NAMES = ("label", "class", "class_name", "classname", "category", "target")
_PROBE = 100


class _Row(NamedTuple):
    line: int
    cells: list[str]


def open_table(path: Path, split: str | None = None, max_pixels: int = MAX_PIXELS) -> FileSource:
    """Return the images that a CSV or TSV file lists, in its order.

    The columns are found by a header (path, label and their usual synonyms, and split; others are ignored); without
    one the first is the path and the second, if there is one, the label. Paths are relative to the list's own folder.
    Labels are strings, as directory names are.

    Raises
    ------
    InputError
        If a line is malformed (it is named), an image is listed twice, or no listed file exists.
    """
    rows = list(_rows(path))
    if not rows:
        raise InputError(
            f"{path} lists no images; expected lines such as cat/001.jpg{DELIMITERS[path.suffix.lower()]}cat"
        )
    path_column, label_column, split_column, body = _columns(path, rows)
    if split is not None:
        if split_column is None:
            raise InputError(f"{path} has no column named split, so split={split!r} selects nothing; leave split out")
        body = [row for row in body if row.cells[split_column].strip() == split]
    if not body:
        raise InputError(f"{path} lists no images" + (f" with split {split!r}" if split else " below its header"))
    listed = [_cell(path, row, path_column, "path") for row in body]
    labels = None if label_column is None else [_cell(path, row, label_column, "label") for row in body]
    files = [os.path.join(path.parent, name.replace("\\", "/") if os.sep == "/" else name) for name in listed]
    if not any(os.path.exists(file) for file in files[:_PROBE]):
        raise InputError(
            f"{path}: line {body[0].line}: {listed[0]} does not exist in {path.parent}, nor do the next lines' files; "
            "paths are taken relative to the list's own folder"
        )
    keys = [as_key(os.path.normpath(name.replace("\\", "/")).replace(os.sep, "/")) for name in listed]
    return FileSource(path.name, files, keys, labels, max_pixels=max_pixels)


def _rows(path: Path) -> Iterator[_Row]:
    delimiter = DELIMITERS[path.suffix.lower()]
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            try:
                for cells in reader:
                    if any(cell.strip() for cell in cells):
                        yield _Row(reader.line_num, cells)
            except csv.Error as error:
                raise InputError(f"{path}: line {reader.line_num}: {error}; is a quote left open?") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8; save it as CSV with the encoding UTF-8") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror or error}") from None


def _columns(path: Path, rows: list[_Row]) -> tuple[int, int | None, int | None, list[_Row]]:
    """Return the columns of path, label and split, and the lines that list images."""
    names = [cell.strip().casefold() for cell in rows[0].cells]
    width = len(names)
    has_header = any(name in _PATH_NAMES for name in names)
    body = rows[1:] if has_header else rows
    for row in body:
        if len(row.cells) != width:
            raise InputError(
                f"{path}: line {row.line} has {len(row.cells)} column(s), but line {rows[0].line} has {width}; "
                "put paths that hold the delimiter in quotes"
            )
    if has_header:
        return _first(names, _PATH_NAMES) or 0, _first(names, _LABEL_NAMES), _first(names, ("split",)), body
    if width > 2 or not is_image_name(names[0]):
        hint = "; is it separated by semicolons?" if width == 1 and ";" in names[0] else ""
        raise InputError(
            f"{path}: line {rows[0].line} is neither a header with the columns path and label, nor a path and a label: "
            f"{', '.join(rows[0].cells)!r:.120}{hint}"
        )
    return 0, 1 if width == 2 else None, None, body


def _first(names: list[str], wanted: tuple[str, ...]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _cell(path: Path, row: _Row, column: int, what: str) -> str:
    text = row.cells[column].strip()
    if not text or "\0" in text:
        raise InputError(f"{path}: line {row.line} has no {what}; fill it in, or remove the line")
    return text
