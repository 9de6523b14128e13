"""Images that are already in memory, as one array."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from PIL import Image

from ncapps.arrays import to_numpy
from ncapps.errors import InputError
from ncapps.features.pixels import to_rgb
from ncapps.features.source import ImageSource, checked_labels, numbered

_CHANNELS = (1, 3, 4)


class ArraySource(ImageSource):
    """Images from one array.

    Parameters
    ----------
    images : array-like
        Shape (images, height, width) for grey, or (images, height, width, channels) with 1, 3 or 4 channels; also
        (images, channels, height, width), which is assumed first for torch tensors, and for numpy where it is
        the only reading. Either uint8, or bool, or floats from 0 (black) to 1 (white).
    labels : array-like of str or of int, optional
        One class name an image.
    name : str
        A short name for people.

    Raises
    ------
    InputError
        If the shape or the type is another, or a float lies outside 0..1.

    Examples
    --------
    >>> import numpy as np
    >>> source = ArraySource(np.zeros((2, 8, 8)), labels=["a", "b"])
    >>> source.keys, source.read(0).size, source.read(0).mode
    (('000000', '000001'), (8, 8), 'RGB')
    """

    def __init__(self, images: Any, labels: Any = None, *, name: str = "array"):
        self.name = name
        self.images = _channels_last(to_numpy(images), prefer_first=hasattr(images, "detach"))
        _check_values(self.images)
        self.keys = numbered(len(self.images))
        self.labels = checked_labels(labels, len(self.images))

    def read(self, index: int, hint_size: int | None = None) -> Image.Image:
        """Return one image as upright 8-bit RGB."""
        pixels = self.images[index]
        if pixels.dtype != np.uint8:
            pixels = np.rint(pixels.astype(np.float32) * 255).astype(np.uint8)
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[:, :, 0]
        return to_rgb(Image.fromarray(np.ascontiguousarray(pixels)))

    def stamp(self, index: int) -> str:
        """Return a hash of the image's values, type and shape."""
        pixels = np.ascontiguousarray(self.images[index])
        return hashlib.sha256(f"{pixels.dtype.str}{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def _channels_last(images: np.ndarray, prefer_first: bool) -> np.ndarray:
    if images.ndim == 4:
        first, last = images.shape[1] in _CHANNELS, images.shape[3] in _CHANNELS
        if first and (prefer_first or not last):
            return images.transpose(0, 2, 3, 1)
        if last:
            return images
    elif images.ndim == 3 and (images.shape[2] not in _CHANNELS or images.shape[1] == images.shape[2]):
        return images
    hint = "; is it one image? then hand over images[None]" if images.ndim in (2, 3) else ""
    raise InputError(
        "images must have the shape (images, height, width) or (images, height, width, channels) with 1, 3 or 4 "
        f"channels, but have {tuple(images.shape)}{hint}"
    )


def _check_values(images: np.ndarray) -> None:
    if images.size == 0:
        raise InputError(f"there are no images in an array of the shape {tuple(images.shape)}")
    if images.dtype in (np.uint8, np.bool_):
        return
    if images.dtype.kind != "f":
        raise InputError(
            f"images must be uint8, or floats from 0 to 1, but are {images.dtype}; use images.astype('uint8')"
        )
    low, high = float(images.min()), float(images.max())
    if not np.isfinite(low + high):
        raise InputError("images hold NaN or infinity; floats from 0 to 1 are expected")
    if low < 0:
        raise InputError(
            f"float images must lie in 0..1, but the least value is {low:g}; were they normalised already?"
        )
    if high > 1:
        raise InputError(f"float images must lie in 0..1, but the greatest value is {high:g}; divide by 255?")
