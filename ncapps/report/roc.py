"""`plot_roc`: unknown images found against known images refused, at every threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ncapps.report.canvas import house_style, new_figure, to_svg
from ncapps.report.checks import as_groups, as_scores
from ncapps.report.palette import FAINT, group_colour


def plot_roc(known: Any, groups: Mapping[str, Any]) -> str:
    """Draw one ROC curve for each group of unknown images, with the area under it (AUROC) in the legend.

    Parameters
    ----------
    known : array-like
        Scores of known images, shape (images,), higher = more in-distribution.
    groups : mapping from name to array-like
        Scores of each unknown group; an empty one is named in the legend and has no curve.

    Returns
    -------
    str
        An `<svg>` element. To the right: known images refused; upwards: unknown images found (positive = unknown).

    Raises
    ------
    InputError
        If there is no known image or a score is not finite.
    """
    return to_svg(roc_figure(known, groups), "roc")


def roc_figure(known: Any, groups: Mapping[str, Any]) -> Figure:
    """Return `plot_roc`'s picture as a matplotlib figure, for `save_png`."""
    inside = as_scores(known, "known", needed=True)
    outside = as_groups(groups)
    with house_style():
        figure = new_figure(5.0, 4.9)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=FAINT, linestyle=(0, (4, 3)), linewidth=1.2)
        for place, (name, values) in enumerate(outside.items()):
            _draw_curve(axes, name, inside, values, group_colour(place))
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.02)
        axes.set_aspect("equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("known images refused (false alarms)")
        axes.set_ylabel("unknown images found")
        if outside:
            axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.03), handlelength=1.4)
    return figure


def _draw_curve(axes: Axes, name: str, inside: np.ndarray, outside: np.ndarray, colour: str) -> None:
    if not len(outside):
        axes.plot([], [], color=colour, label=f"{name}: no images")
        return
    from sklearn.metrics import roc_auc_score, roc_curve

    is_unknown = np.repeat([0, 1], [len(inside), len(outside)])
    strangeness = -np.concatenate([inside, outside])
    refused, found, _ = roc_curve(is_unknown, strangeness)
    area = roc_auc_score(is_unknown, strangeness)
    axes.plot(refused, found, color=colour, label=f"{name}: AUROC {area:.3f}", linewidth=2.4, clip_on=False)
