"""`plot_confusion`: what each class was taken for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ncapps.arrays import to_numpy
from ncapps.errors import InputError
from ncapps.report.canvas import house_style, new_figure, to_svg
from ncapps.report.palette import FAINT, INK, KNOWN

_MOST_NUMBERED = 20
_MOST_NAMED = 40
_BLUES = LinearSegmentedColormap.from_list("ncapps", ["#ffffff", "#cfe3f1", "#66a9d1", KNOWN, "#004a75"])


def plot_confusion(matrix: Any, names: Sequence[Any], title: str = "") -> str:
    """Draw a confusion matrix: rows are the true classes, columns the answers, the colour the share within the row.

    Parameters
    ----------
    matrix : array-like
        Counts of images, shape (classes, classes); row = true class, column = answer.
    names : sequence
        Class names in the matrix's order.
    title : str
        Heading inside the picture.

    Returns
    -------
    str
        An `<svg>` element; the counts are written into the cells up to 20 classes, the names beside them up to 40.

    Raises
    ------
    InputError
        If the matrix is not square, holds negative or fractional counts, or has other than one name a class.
    """
    return to_svg(confusion_figure(matrix, names, title), "confusion")


def confusion_figure(matrix: Any, names: Sequence[Any], title: str = "") -> Figure:
    """Return `plot_confusion`'s picture as a matplotlib figure, for `save_png`."""
    counts, labels = _checked(matrix, names)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    with house_style():
        figure = new_figure(4.8, 4.8)
        axes = figure.add_subplot()
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.imshow(shares, cmap=_BLUES, vmin=0, vmax=1, interpolation="nearest")
        axes.set_xlabel("the answer")
        axes.set_ylabel("what it really is")
        if title:
            axes.set_title(title)
        for edge in np.arange(0.5, len(labels) - 1) if len(labels) <= _MOST_NUMBERED else ():
            axes.axhline(edge, color=FAINT, linewidth=0.5)
            axes.axvline(edge, color=FAINT, linewidth=0.5)
        ticks = range(len(labels)) if len(labels) <= _MOST_NAMED else []
        crowded = len(labels) > 12 or max(map(len, labels)) > 4
        axes.set_xticks(ticks, labels if len(ticks) else [], rotation=90 if crowded else 0)
        axes.set_yticks(ticks, labels if len(ticks) else [])
        axes.tick_params(length=0, labelsize=10.5 if len(labels) <= 15 else 7, labelcolor=INK)
        if len(labels) <= _MOST_NUMBERED:
            size = min(10.5, 105 / len(labels))
            for row, column in np.argwhere(counts > 0):
                dark = shares[row, column] > 0.5
                number = f"{int(counts[row, column])}"
                axes.text(
                    column,
                    row,
                    number,
                    ha="center",
                    va="center",
                    fontsize=size * min(1.0, 3.6 / len(number)),
                    color="white" if dark else INK,
                )
    return figure


def _checked(matrix: Any, names: Sequence[Any]) -> tuple[np.ndarray, list[str]]:
    counts = np.asarray(to_numpy(matrix))
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.shape[0] < 2:
        raise InputError(
            f"a confusion matrix must be square with two classes or more, but has the shape {tuple(counts.shape)}"
        )
    if counts.dtype.kind not in "biuf" or not np.isfinite(counts).all() or (counts < 0).any():
        raise InputError("a confusion matrix must hold counts of images, 0 or more, but holds something else")
    if (counts != np.round(counts)).any():
        raise InputError("a confusion matrix must hold counts of images, but holds fractions; was it normalised?")
    labels = [str(name) for name in names]
    if len(labels) != len(counts):
        raise InputError(
            f"a confusion matrix of {len(counts)} classes came with {len(labels)} names; one a class is expected"
        )
    return counts.astype(np.int64), labels
