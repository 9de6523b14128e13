"""`plot_depth`: how the classes come apart from layer to layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from ncapps.errors import InputError
from ncapps.report.canvas import house_style, new_figure, to_svg
from ncapps.report.palette import ACCENT, KNOWN, MUTED

_PANELS: tuple[tuple[str, str, Callable[[Any], float]], ...] = (
    ("Nearest class mean", "share of images named right", lambda one: one.accuracy),
    ("Spread", "within the classes over between them", lambda one: one.quotient),
    ("Effective rank", "directions that the class means take up", lambda one: one.effective_rank),
)
_DECADE = 10.0


def plot_depth(profile: Sequence[Any], marked: int | None = None) -> str:
    """Draw accuracy of the nearest class mean, spread and effective rank over the depth of a network.

    Parameters
    ----------
    profile : sequence of DepthCollapse
        In the order of the layers.
    marked : int, optional
        The position, from 0, that stands out.

    Returns
    -------
    str
        An `<svg>` element.

    Raises
    ------
    InputError
        If the profile is empty or the position is not in it.
    """
    return to_svg(depth_figure(profile, marked), "depth")


def depth_figure(profile: Sequence[Any], marked: int | None = None) -> Figure:
    """Return `plot_depth`'s picture as a matplotlib figure, for `save_png`."""
    if not profile or (marked is not None and not 0 <= marked < len(profile)):
        raise InputError(f"a profile of one depth or more is drawn, but {len(profile)} came with {marked} marked")
    with house_style():
        figure = new_figure(10, 3.1, gap=0.14)
        for axes, (title, meaning, read) in zip(figure.subplots(1, 3), _PANELS, strict=True):
            _panel(axes, title, meaning, np.asarray([read(one) for one in profile], dtype=np.float64), marked)
    return figure


def _panel(axes: Axes, title: str, meaning: str, values: np.ndarray, marked: int | None) -> None:
    places = np.arange(1, len(values) + 1)
    axes.set_title(f"{title}\n", pad=6)
    axes.text(0, 1.035, meaning, transform=axes.transAxes, color=MUTED, fontsize=9.5)
    axes.plot(places, values, color=KNOWN, marker="o", markersize=3.5)
    if marked is not None:
        axes.plot(
            places[marked], values[marked], "o", markersize=9, mfc="white", mec=ACCENT, mew=2.2, zorder=5, clip_on=False
        )
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("place in the network", fontsize=9.5)
    if title == "Nearest class mean":
        axes.set_ylim(0, 1.05)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    elif title == "Spread" and values.min() > 0 and values.max() > _DECADE * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.set_ylim(0, 1.1 * max(float(values.max()), 1e-9))
