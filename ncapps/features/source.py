"""What every source of images has in common: keys, labels, pixels on demand, and a fingerprint."""

from __future__ import annotations

import copy
import hashlib
import os
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from PIL import Image

from ncapps.arrays import Label, as_labels, native, sorted_names
from ncapps.errors import InputError


@runtime_checkable
class ImageSource(Protocol):
    """Images by position: a key and perhaps a label for each, the pixels only when they are asked for.

    Subclasses set `name`, `keys` and `labels` and define `read` and `stamp`; the rest comes for free. Sources can be
    pickled, so that worker processes open their own files.

    Attributes
    ----------
    name : str
        A short name for people, such as "trashnet.zip".
    keys : tuple of str
        One unique key an image: its path inside the folder or zip, or its number. No control characters.
    labels : tuple of str or of int, or None
        One class name an image; None where the images are unlabelled.
    """

    name: str
    keys: tuple[str, ...]
    labels: tuple[Label, ...] | None

    def read(self, index: int, hint_size: int | None = None) -> Image.Image:
        """Return one image as upright 8-bit RGB; `hint_size` is the short side that it will be shrunk to.

        Raises
        ------
        UnreadableImage
            If it cannot be read right; never another image.
        """
        ...

    def stamp(self, index: int) -> str:
        """Return what stands for one image's content without decoding it: size and time, checksum, or hash."""
        ...

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def classes(self) -> tuple[Label, ...]:
        """The class names in sorted order; empty where the images are unlabelled."""
        return sorted_names(self.labels or ())

    def fingerprint(self) -> str:
        """Return a SHA-256 over all keys, labels and stamps: it changes when an image or a label does."""
        digest = hashlib.sha256()
        for index, key in enumerate(self.keys):
            label = None if self.labels is None else self.labels[index]
            # repr keeps 1 and "1" apart; keys hold no control characters, so the lines are unambiguous.
            digest.update(f"{key}\0{label!r}\0{self.stamp(index)}\n".encode())
        return digest.hexdigest()

    def select(self, indices: Any) -> Subset:
        """Return the images at these positions (or under a boolean mask), in this order."""
        return Subset(self, indices)

    def with_labels(self, labels: Any) -> Self:
        """Return the same images under other labels, one an image in the order of `keys`."""
        twin = copy.copy(self)
        twin.labels = checked_labels(labels, len(self))
        return twin


class Subset(ImageSource):
    """Some images of another source; a subset of a subset refers to the source itself.

    Parameters
    ----------
    source : ImageSource
        Where the images come from.
    indices : array-like of int or of bool
        Positions in the source, each at most once, or a mask with one truth value an image.

    Raises
    ------
    InputError
        If a position is out of range or occurs twice.

    Examples
    --------
    >>> from ncapps.features.images import open_images
    >>> digits = open_images("digits")
    >>> digits.select([3, 1]).labels
    (3, 1)
    """

    def __init__(self, source: ImageSource, indices: Any):
        chosen = _positions(indices, len(source))
        self.name = source.name
        self.keys = tuple(source.keys[i] for i in chosen)
        self.labels = None if source.labels is None else tuple(source.labels[i] for i in chosen)
        self.source, self.indices = source, chosen
        if isinstance(source, Subset):
            self.source, self.indices = source.source, source.indices[chosen]

    def read(self, index: int, hint_size: int | None = None) -> Image.Image:
        """Return one image as upright 8-bit RGB."""
        return self.source.read(int(self.indices[index]), hint_size)

    def stamp(self, index: int) -> str:
        """Return the stamp that the image has in its source."""
        return self.source.stamp(int(self.indices[index]))


def _positions(indices: Any, rows: int) -> np.ndarray:
    array = np.asarray(indices)
    if array.dtype == bool:
        if array.shape != (rows,):
            raise InputError(
                f"a mask needs one truth value for each of the {rows} images, but has the shape {array.shape}"
            )
        return np.flatnonzero(array)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(f"image positions must be a list of integers or a mask, but {indices!r:.80} came")
    if array.min() < 0 or array.max() >= rows:
        raise InputError(f"image positions go from 0 to {rows - 1}, but {array.min()}..{array.max()} came")
    if len(np.unique(array)) != len(array):
        raise InputError("an image position occurs twice; each image can stand in a subset once")
    return array.astype(np.int64)


def checked_labels(labels: Any, rows: int) -> tuple[Label, ...] | None:
    """Return labels as a tuple of plain str or int, one an image, or None for None."""
    if labels is None:
        return None
    return tuple(native(label) for label in as_labels(labels, rows))


def as_key(path: str) -> str:
    """Return a file's path as a key: valid UTF-8 without control characters, whatever the file is called."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace") if not path.isascii() else path
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def numbered(count: int) -> tuple[str, ...]:
    """Return keys for images that have no file name: their number, in six digits or more."""
    return tuple(f"{index:06d}" for index in range(count))
