"""`plot_pareto`: accuracy against cost, one numbered dot a backbone, and the front of those that nothing beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from ncapps.errors import InputError
from ncapps.report.canvas import house_style, new_figure, to_svg
from ncapps.report.palette import ACCENT, INK, KNOWN, MUTED

_WIDTH, _HEIGHT = 9.6, 4.6
_LINE = 0.27
_PLOT = 2.1
_LONGEST = 34


@dataclass(frozen=True, kw_only=True)
class ParetoPoint:
    """One dot.

    Parameters
    ----------
    name : str
        What stands beside it.
    cost : float
        Milliseconds an image, above 0.
    value, low, high : float
        Accuracy in 0..1, and its interval.
    on_front : bool
        Whether nothing else is both as cheap and as good.
    """

    name: str
    cost: float
    value: float
    low: float
    high: float
    on_front: bool = True

    def __post_init__(self) -> None:
        numbers = (self.cost, self.value, self.low, self.high)
        if not (np.isfinite(numbers).all() and self.cost > 0 and 0 <= self.value <= 1):
            raise InputError(
                f"a point needs a cost above 0 and an accuracy in 0..1 with its interval, but {self.name} has "
                f"{self.cost:g} and {self.value:g} ({self.low:g} to {self.high:g}); is it in percent?"
            )


def plot_pareto(points: Sequence[ParetoPoint], recommended: str = "") -> str:
    """Draw accuracy with its interval against milliseconds an image, the front as a line.

    Parameters
    ----------
    points : sequence of ParetoPoint
        One a backbone.
    recommended : str
        The name that stands out.

    Returns
    -------
    str
        An `<svg>` element.

    Raises
    ------
    InputError
        If there is no point.
    """
    return to_svg(pareto_figure(points, recommended), "pareto")


def pareto_figure(points: Sequence[ParetoPoint], recommended: str = "") -> Figure:
    """Return `plot_pareto`'s picture as a matplotlib figure, for `save_png`."""
    if not points:
        raise InputError("a plot of accuracy against cost needs one backbone or more, but none came")
    ranked = sorted(points, key=lambda point: -point.value)
    with house_style():
        figure = new_figure(_WIDTH, max(_HEIGHT, _LINE * (len(points) + 2)))
        axes, beside = figure.subplots(1, 2, width_ratios=(_PLOT, 1))
        _axes(axes, points)
        front = sorted((point.cost, point.value) for point in points if point.on_front)
        axes.plot(*zip(*front, strict=True), color=KNOWN, linewidth=1.4, drawstyle="steps-post", zorder=2)
        # The last drawn lies on top, and that is to be the best.
        for place, point in reversed(list(enumerate(ranked, 1))):
            _dot(axes, point, place, _colour(point, recommended))
        _names(beside, ranked, recommended)
    return figure


def _axes(axes: Axes, points: Sequence[ParetoPoint]) -> None:
    costs = [point.cost for point in points]
    low = max(0.0, min(point.low for point in points))
    high = min(1.0, max(point.high for point in points))
    room = max(high - low, 0.05)
    axes.set_xscale("log")
    edge = np.exp(0.08 * np.log(max(costs) / min(costs)) + 0.1)
    axes.set_xlim(min(costs) / edge, max(costs) * edge)
    axes.set_ylim(low - 0.08 * room, high + 0.12 * room)
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("milliseconds an image")
    axes.set_ylabel("accuracy, old and new classes")


def _dot(axes: Axes, point: ParetoPoint, place: int, colour: str) -> None:
    low, high = max(point.low, 0.0), min(point.high, 1.0)
    axes.plot([point.cost, point.cost], [low, high], color=colour, linewidth=1.4, alpha=0.55, zorder=3)
    _numbered(axes, (point.cost, point.value), place, colour)


def _numbered(axes: Axes, where: tuple[float, float], place: int, colour: str) -> None:
    axes.plot(*where, "o", markersize=14, color=colour, mec="white", mew=1.2, zorder=4, clip_on=False)
    axes.annotate(str(place), where, ha="center", va="center_baseline", color="white", fontsize=8.5, zorder=5)


def _names(axes: Axes, ranked: Sequence[ParetoPoint], recommended: str) -> None:
    """List the names by their numbers, best first."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(max(len(ranked), 12) + 0.5, 0.5)
    for place, point in enumerate(ranked, 1):
        colour = _colour(point, recommended)
        _numbered(axes, (0.04, place), place, colour)
        axes.annotate(
            point.name if len(point.name) <= _LONGEST else f"{point.name[: _LONGEST - 1]}…",
            (0.11, place),
            va="center_baseline",
            color=colour if point.name == recommended else INK if point.on_front else MUTED,
            fontweight="bold" if point.name == recommended else "normal",
            annotation_clip=False,
        )


def _colour(point: ParetoPoint, recommended: str) -> str:
    return ACCENT if point.name == recommended else KNOWN if point.on_front else MUTED
