"""`plot_widths`: each layer's channels before and after pruning."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ncapps.errors import InputError
from ncapps.report.canvas import house_style, new_figure, to_svg
from ncapps.report.palette import FAINT, INK, KNOWN, MUTED

_NUMBERED = 40
_NAMED = 64


def plot_widths(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Draw one bar a layer: its channels before, and inside it those that are left.

    Parameters
    ----------
    before, after : mapping of layer name to channels
        Of the same layers, in the order in which they run.

    Returns
    -------
    str
        An `<svg>` element.

    Raises
    ------
    InputError
        If there is no layer, the layers differ, or one has grown.
    """
    return to_svg(widths_figure(before, after), "widths")


def widths_figure(before: Mapping[str, int], after: Mapping[str, int]) -> Figure:
    """Return `plot_widths`'s picture as a matplotlib figure, for `save_png`."""
    if not before or list(before) != list(after):
        raise InputError(f"widths before and after are of the same layers, but {len(before)} and {len(after)} came")
    grown = [name for name in before if not 0 < after[name] <= before[name]]
    if grown:
        raise InputError(f"{grown[0]} has {before[grown[0]]} channels before and {after[grown[0]]} after; swapped?")
    names, places = list(before), np.arange(len(before))
    kept = [after[name] for name in names]
    with house_style():
        figure = new_figure(9.6, 4.2)
        axes = figure.add_subplot()
        axes.grid(visible=False, axis="x")
        axes.bar(places, list(before.values()), width=0.78, color=FAINT)
        axes.bar(places, kept, width=0.78, color=KNOWN)
        if len(names) <= _NUMBERED:
            for place, count in zip(places, kept, strict=True):
                axes.annotate(
                    str(count), (place, count), xytext=(0, 2), textcoords="offset points", ha="center", color=INK,
                    fontsize=8.5,
                )  # fmt: skip
        # Of very deep networks every second layer is named, or every third.
        step = -(-len(names) // _NAMED)
        axes.set_xticks(places[::step], names[::step], rotation=90, fontsize=8.5 if len(names) <= _NUMBERED else 7)
        axes.tick_params(axis="x", length=0)
        axes.set_xlim(-0.7, len(names) - 0.3)
        axes.set_ylim(0, 1.14 * max(before.values()))
        axes.set_ylabel("channels")
        figure.legend(
            handles=[Patch(color=FAINT, label="taken out"), Patch(color=KNOWN, label="left")],
            loc="outside upper right", ncols=2, labelcolor=MUTED, handlelength=1.0, borderpad=0.1,
        )  # fmt: skip
    return figure
