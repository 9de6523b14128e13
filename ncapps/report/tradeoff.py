"""`plot_tradeoff`: accuracy against the work that is left after pruning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ncapps.errors import InputError
from ncapps.report.canvas import house_style, new_figure, to_svg
from ncapps.report.checks import as_point
from ncapps.report.palette import ACCENT, INK, KNOWN, MUTED


def plot_tradeoff(points: Iterable[Any], chosen: Any, dense: Any, *, measured: str = "accuracy on new images") -> str:
    """Draw accuracy against the share of multiply-accumulates (MACs) kept, with the chosen model and the dense one.

    Parameters
    ----------
    points : iterable of (share of MACs, accuracy)
        Both in [0, 1]; any order.
    chosen : (share of MACs, accuracy) or None
        The model that was kept.
    dense : (share of MACs, accuracy) or None
        The model before pruning.
    measured : str
        What the accuracy is, for the axis.

    Returns
    -------
    str
        An `<svg>` element.

    Raises
    ------
    InputError
        If there is no point at all, or one is out of range.
    """
    return to_svg(tradeoff_figure(points, chosen, dense, measured=measured), "tradeoff")


def tradeoff_figure(
    points: Iterable[Any], chosen: Any, dense: Any, *, measured: str = "accuracy on new images"
) -> Figure:
    """Return `plot_tradeoff`'s picture as a matplotlib figure, for `save_png`."""
    path = [as_point(point, "a point") for point in points]
    marked = [None if point is None else as_point(point, "a marked model") for point in (chosen, dense)]
    everything = sorted({*path, *(point for point in marked if point is not None)})
    if not everything:
        raise InputError("no point came, so there is no trade-off to draw; was nothing pruned?")
    with house_style():
        figure = new_figure(5.4, 4.4)
        axes = figure.add_subplot()
        axes.plot(*zip(*everything, strict=True), color=KNOWN, marker="o", markersize=5.5)
        _mark(axes, marked[1], "before pruning", INK)
        _mark(axes, marked[0], "chosen", ACCENT)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        low, high = min(a for _, a in everything), max(a for _, a in everything)
        # No finer than five points of accuracy: a smaller range would make noise look like a fall.
        room = max(high - low, 0.05)
        bottom, top = high - 1.12 * room, high + 0.3 * room
        axes.set_ylim(bottom, top)
        ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(bottom, min(top, 1.0))
        axes.set_yticks([tick for tick in ticks if bottom <= tick < min(top, 1.001)])
        left = min(ratio for ratio, _ in everything)
        axes.set_xlim(min(left - 0.06, 0.9), max(ratio for ratio, _ in everything) + 0.06)
        axes.set_xlabel("work left (share of multiply-accumulates)")
        axes.set_ylabel(measured)
    return figure


def _mark(axes: Axes, point: tuple[float, float] | None, name: str, colour: str) -> None:
    if point is None:
        return
    axes.plot(*point, "o", markersize=12, mfc="white", mec=colour, mew=2.6, zorder=5)
    left = point[0] > 0.85
    # Above it the label would run into the curve; below and to the right there is none.
    below = name == "chosen" and not left
    axes.annotate(
        f"{name}: {point[1]:.1%}",
        point,
        xytext=(8, -20) if below else (8 if left else 0, 15),
        textcoords="offset points",
        ha="right" if left else "left" if below else "center",
        color=colour if name == "chosen" else MUTED,
        fontweight="bold",
        zorder=6,
    )
