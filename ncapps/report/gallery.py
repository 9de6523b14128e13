"""`plot_gallery`: a strip of small images, each with what the model said."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from ncapps.arrays import to_numpy
from ncapps.errors import InputError
from ncapps.report.palette import ADDED, INK, KNOWN, UNKNOWN, WRONG

_TILE, _GAP, _TEXT, _PER_ROW = 92, 14, 26, 8
_FRAMES = {"known": (KNOWN, ""), "added": (ADDED, "")}
_STRANGER, _WRONG = (UNKNOWN, "7 4"), (WRONG, "2 3")


def plot_gallery(images: Any, captions: Sequence[str], marks: Sequence[str]) -> str:
    """Draw images in rows of eight, each framed by its mark and with its caption below.

    Parameters
    ----------
    images : sequence of array-like
        uint8 arrays of shape (height, width) or (height, width, 3); they may differ in size.
    captions : sequence of str
        What the model said: "7, 98 %", "unknown".
    marks : sequence of str
        What the image is: "known", "added", or the name of an unknown group; a wrong answer ends in ", wrong". Sets the
        frame's colour and dashes.

    Returns
    -------
    str
        An `<svg>` element that holds the images as PNG data.

    Raises
    ------
    InputError
        If there is no image, the three differ in number, an image is not of the kind above, or a mark is no text.

    Examples
    --------
    >>> import numpy as np
    >>> "unknown" in plot_gallery([np.zeros((8, 8), np.uint8)], ["unknown"], ["unknown"])
    True
    """
    if not len(images) == len(captions) == len(marks) or not len(images):
        raise InputError(
            f"{len(images)} images came with {len(captions)} captions and {len(marks)} marks; "
            "one of each an image is expected, for one image or more"
        )
    columns = min(len(images), _PER_ROW)
    rows = -(-len(images) // _PER_ROW)
    width, height = columns * (_TILE + _GAP) + _GAP, rows * (_TILE + _TEXT + _GAP) + _GAP
    tiles = "".join(_tile(place, *item) for place, item in enumerate(zip(images, captions, marks, strict=True)))
    name = f"gallery-{hashlib.sha256(tiles.encode()).hexdigest()[:8]}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="system-ui, -apple-system, Segoe UI, Roboto, sans-serif" '
        f'font-size="14" font-weight="600" text-anchor="middle">{tiles}</svg>'
    )


def _tile(place: int, image: Any, caption: str, mark: str) -> str:
    if not isinstance(mark, str):
        raise InputError(f"a mark must be a text such as 'known' or 'added, wrong', but {mark!r} came")
    colour, dashes = _WRONG if mark.endswith("wrong") else _FRAMES.get(mark, _STRANGER)
    ink = INK if mark == "known" else colour
    left = _GAP + place % _PER_ROW * (_TILE + _GAP)
    top = _GAP + place // _PER_ROW * (_TILE + _TEXT + _GAP)
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    squeeze = f' textLength="{_TILE + _GAP - 4}" lengthAdjust="spacingAndGlyphs"' if len(caption) > 13 else ""
    return (
        f'<image x="{left}" y="{top}" width="{_TILE}" height="{_TILE}" style="image-rendering: pixelated" '
        f'href="data:image/png;base64,{_png(image)}"/>'
        f'<rect x="{left}" y="{top}" width="{_TILE}" height="{_TILE}" rx="7" fill="none" stroke="#ffffff" '
        f'stroke-width="7"/>'
        f'<rect x="{left}" y="{top}" width="{_TILE}" height="{_TILE}" rx="7" fill="none" stroke="{colour}" '
        f'stroke-width="3"{dash}/>'
        f'<text x="{left + _TILE / 2:g}" y="{top + _TILE + 19}" fill="{ink}"{squeeze}>'
        f"{escape(str(caption))}</text>"
    )


def _png(image: Any) -> str:
    from PIL import Image

    pixels = np.asarray(to_numpy(image))
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise InputError(
            "an image of the gallery must be uint8 of shape (height, width) or (height, width, 3), but has the shape "
            f"{pixels.shape} and type {pixels.dtype}"
        )
    if not pixels.size:
        raise InputError(f"an image of the gallery is empty: its shape is {pixels.shape}")
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
