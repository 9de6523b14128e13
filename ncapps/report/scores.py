"""`plot_scores`: where the scores of known and unknown images lie, and where the threshold cuts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ncapps.errors import InputError
from ncapps.report.canvas import house_style, new_figure, say_in_the_middle, to_svg
from ncapps.report.checks import as_groups, as_scores
from ncapps.report.palette import INK, KNOWN, MUTED, group_colour

_BINS = 64


def plot_scores(groups: Mapping[str, Any], threshold: float) -> str:
    """Draw one histogram a group, one below another on a common axis, with the threshold through all of them.

    Parameters
    ----------
    groups : mapping from name to array-like
        Scores, shape (images,), higher = more in-distribution. The first group holds the known images; the others the
        unknown ones, and may be empty.
    threshold : float
        Scores below it are refused.

    Returns
    -------
    str
        An `<svg>` element. Scores far to the left, where the known images would shrink to a line, share the first bar.

    Raises
    ------
    InputError
        If there is no group, the first is empty, or a score or the threshold is not finite.
    """
    return to_svg(scores_figure(groups, threshold), "scores")


def scores_figure(groups: Mapping[str, Any], threshold: float) -> Figure:
    """Return `plot_scores`'s picture as a matplotlib figure, for `save_png`."""
    scores = as_groups(groups)
    if not scores:
        raise InputError("no group of scores came; the first has to hold the known images")
    known = next(iter(scores))
    as_scores(scores[known], known, needed=True)
    if not np.isfinite(threshold):
        raise InputError(f"the threshold must be a finite number, but {threshold!r} came; was the detector calibrated?")
    low, high = _limits(list(scores.values()), float(threshold))
    with house_style():
        figure = new_figure(10, 1.15 * len(scores) + 1.0)
        panels = figure.subplots(len(scores), 1, sharex=True, squeeze=False)[:, 0]
        for place, (axes, (name, values)) in enumerate(zip(panels, scores.items(), strict=True)):
            colour = KNOWN if place == 0 else group_colour(place - 1)
            _draw_group(axes, name, values, float(threshold), colour, (low, high))
        false_alarms = np.mean(scores[known] < threshold)
        panels[0].annotate(
            f"threshold: {false_alarms:.1%} of {known} fall below it (false alarms)",
            (threshold, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-6 if threshold > (low + high) / 2 else 6, 8),
            textcoords="offset points",
            ha="right" if threshold > (low + high) / 2 else "left",
            fontweight="bold",
            annotation_clip=False,
        )
        panels[-1].set_xlabel("refused as unknown   ←   score   →   accepted as known")
    return figure


def _draw_group(
    axes: Axes, name: str, values: np.ndarray, threshold: float, colour: str, limits: tuple[float, float]
) -> None:
    axes.set_xlim(limits)
    axes.grid(visible=False, axis="y")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(threshold, color=INK, linewidth=1.3, linestyle=(0, (4, 3)), zorder=3)
    axes.set_ylabel(name, rotation=0, ha="right", va="center", color=INK, fontweight="bold", labelpad=12)
    if not len(values):
        say_in_the_middle(axes, "no images")
        return
    axes.hist(values.clip(*limits), bins=_BINS, range=limits, color=colour, histtype="stepfilled", linewidth=0)
    axes.text(
        1.01,
        0.5,
        f"{np.mean(values < threshold):.1%}\nrefused",
        transform=axes.transAxes,
        va="center",
        color=MUTED,
        linespacing=1.35,
    )


def _limits(groups: list[np.ndarray], threshold: float) -> tuple[float, float]:
    """Return the scores shown: at most five times as far down as the nearest unknown group's middle lies."""
    filled = [values for values in groups if len(values)]
    high = max(max(float(values.max()) for values in filled), threshold)
    low = min(min(float(values.min()) for values in filled), threshold)
    anchor = min(
        max([float(np.median(v)) for v in filled[1:]] or [low]), float(np.quantile(groups[0], 0.01)), threshold
    )
    low = max(low, high - 5 * max(high - anchor, 1e-12))
    margin = 0.03 * (high - low) or max(abs(high), 1.0) * 0.05
    return low - margin, high + margin
