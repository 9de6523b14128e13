"""The door for images: whatever they lie in, they come out as one `ImageSource`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ncapps.errors import InputError
from ncapps.features.archive import open_zip
from ncapps.features.array_source import ArraySource as ArraySource
from ncapps.features.datasets import DATASETS as DATASETS
from ncapps.features.datasets import open_dataset
from ncapps.features.decode import MAX_PIXELS as MAX_PIXELS
from ncapps.features.decode import UnreadableImage as UnreadableImage
from ncapps.features.decode import decode as decode
from ncapps.features.folder import FileSource, open_folder
from ncapps.features.layout import is_image_name
from ncapps.features.source import ImageSource as ImageSource
from ncapps.features.source import Subset as Subset
from ncapps.features.source import as_key
from ncapps.features.splits import split_by_class as split_by_class
from ncapps.features.table import DELIMITERS, open_table

_ARCHIVES = (".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst")
_EXPECTED = "a folder, a .zip, a .csv or .tsv list, or an image (.jpg, .png, .webp ...)"


def open_images(
    data: Any,
    labels: Any = None,
    *,
    split: str | None = None,
    root: str | Path | None = None,
    class_depth: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> ImageSource:
    """Open images, wherever they lie; none is read yet.

    Parameters
    ----------
    data : str, Path, array-like, sequence of paths, or ImageSource
        A folder of class folders, a zip of one, a CSV or TSV list, one image file or several, the name of a data set in
        `DATASETS` ("digits" is always there; write "./digits" for a folder of that name), or an array of shape (images,
        height, width[, channels]), uint8 or float from 0 to 1. An `ImageSource` passes through.
    labels : array-like of str or of int, optional
        One class name an image, in the order of the source's `keys`; they replace the source's own.
    split : str, optional
        Take this split only: the directory "train", "val" or "test" at the top of a folder or zip, the column "split"
        of a list, or the split of a registered data set.
    root : str or Path, optional
        Where a registered data set lies.
    class_depth : int, optional
        How many directories name a class in a folder or zip; see `layout.find_classes` for what happens without.
    max_pixels : int
        The most pixels of an image that is decoded.

    Returns
    -------
    ImageSource
        Sorted by key for folders and zips, else in the order given. Labels are the names of directories, or None.

    Raises
    ------
    InputError
        If there is nothing to read, or not in the way described.

    Examples
    --------
    >>> digits = open_images("digits")
    >>> len(digits), digits.classes[:3], digits.read(0).size
    (1797, (0, 1, 2), (8, 8))
    """
    _check_settings(class_depth, max_pixels)
    source = _open(data, split, root, class_depth, max_pixels)
    return source if labels is None else source.with_labels(labels)


def _check_settings(class_depth: int | None, max_pixels: int) -> None:
    if class_depth is not None and class_depth < 1:
        raise InputError(f"class_depth counts directories from 1, but is {class_depth}")
    if max_pixels < 1:
        raise InputError(f"max_pixels must be positive, but is {max_pixels}")


def _open(
    data: Any, split: str | None, root: str | Path | None, class_depth: int | None, max_pixels: int
) -> ImageSource:
    if isinstance(data, str) and data in DATASETS:
        return open_dataset(data, split, root, max_pixels)
    if root is not None:
        raise InputError(f"root belongs to a data set's name ({', '.join(DATASETS)}), but {data!r:.80} came")
    if isinstance(data, (str, Path)):
        return _open_path(Path(data), split, class_depth, max_pixels)
    if split is not None:
        raise InputError(
            "split belongs to folders, zips, lists and named data sets; use split_by_class and select here"
        )
    if all(hasattr(data, name) for name in ("keys", "labels", "read", "fingerprint")):
        return data
    if isinstance(data, Sequence) and len(data) and all(isinstance(item, (str, Path)) for item in data):
        paths = [Path(item) for item in data]
        return FileSource(
            "files", [str(path) for path in paths], [_path_key(path) for path in paths], max_pixels=max_pixels
        )
    if hasattr(data, "__array__") or (isinstance(data, Sequence) and len(data)):
        return ArraySource(data)
    raise InputError(f"images are {_EXPECTED}, an array, or an ImageSource, but {data!r:.80} came")


def _open_path(path: Path, split: str | None, class_depth: int | None, max_pixels: int) -> ImageSource:
    suffix = path.suffix.lower()
    if path.is_dir():
        return open_folder(path, split, class_depth, max_pixels)
    if not path.exists():
        raise _missing(path)
    if suffix == ".zip":
        return open_zip(path, split, class_depth, max_pixels)
    if class_depth is not None:
        raise InputError(f"class_depth belongs to folders and zips, but {path} came")
    if suffix in DELIMITERS:
        return open_table(path, split, max_pixels)
    if is_image_name(path.name):
        if split is not None:
            raise InputError(f"split belongs to folders, zips and lists, but {path} is one image")
        return FileSource(path.name, [str(path)], [as_key(path.name)], max_pixels=max_pixels)
    mend = "; unpack it, or make it a .zip" if suffix in _ARCHIVES else ""
    raise InputError(f"{path} is of an unsupported kind ({suffix or 'no suffix'}); expected {_EXPECTED}{mend}")


def _path_key(path: Path) -> str:
    return as_key(path.as_posix())


def _missing(path: Path) -> InputError:
    above = path.absolute().parent
    while not above.is_dir():
        above = above.parent
    wanted = path.absolute().relative_to(above).parts[0]
    near = difflib.get_close_matches(wanted, [entry.name for entry in above.iterdir()], n=1)
    guess = f"; did you mean {above / near[0]}?" if near else ""
    names = difflib.get_close_matches(str(path), DATASETS, n=1)
    if names:
        guess = f"; did you mean the data set {names[0]!r}?"
    return InputError(f"{path} does not exist; the nearest folder that does is {above}{guess}")
