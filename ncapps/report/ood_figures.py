"""Pictures of an OOD benchmark: every detector's AUROC with its interval, and the ROC curves of the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ncapps.errors import InputError
from ncapps.report.canvas import house_style, new_figure, to_svg
from ncapps.report.checks import as_scores
from ncapps.report.palette import FAINT, INK, KNOWN, MUTED, group_colour

_CURVE = 201


def plot_ranking(names: Sequence[str], groups: Mapping[str, Sequence[Sequence[float]]], subject: str = "") -> str:
    """Draw a dot for each detector's AUROC and a line for its interval, one panel a group.

    Parameters
    ----------
    names : sequence of str
        The detectors, best first.
    groups : mapping from name to sequence
        For each group (value, low, high) of each detector, on the scale 0..1.
    subject : str
        The detector that stands out; a line through its value crosses the others'.

    Returns
    -------
    str
        An `<svg>` element.

    Raises
    ------
    InputError
        If there is no detector or group, or a group has another number of detectors.
    """
    if not names or not groups:
        raise InputError("a ranking needs one detector and one group or more, but none came")
    for group, values in groups.items():
        if len(values) != len(names):
            raise InputError(f"group {group!r} has {len(values)} values for {len(names)} detectors; one each is needed")
    with house_style():
        figure = new_figure(10, 0.26 * len(names) + 1.3)
        panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        for axes, (group, values) in zip(panels, groups.items(), strict=True):
            _draw_group(axes, names, np.asarray(values, dtype=np.float64), subject)
            axes.set_title(group)
            axes.set_xlabel("AUROC")
        panels[0].set_yticks(range(len(names)), names)
        panels[0].invert_yaxis()
        for label in panels[0].get_yticklabels():
            if label.get_text() == subject:
                label.set(color=INK, fontweight="bold")
    return to_svg(figure, "ranking")


def _draw_group(axes: Axes, names: Sequence[str], values: np.ndarray, subject: str) -> None:
    axes.grid(visible=False, axis="y")
    for place, (name, (value, low, high)) in enumerate(zip(names, values, strict=True)):
        colour = KNOWN if name == subject else MUTED
        axes.plot([low, high], [place, place], color=colour, linewidth=2.4 if name == subject else 1.6)
        axes.plot([value], [place], "o", color=colour, markersize=7 if name == subject else 5)
        if name == subject:
            axes.axvline(value, color=KNOWN, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)


def plot_roc_sets(detectors: Mapping[str, Mapping[str, Any]], sets: Sequence[str], subject: str = "") -> str:
    """Draw the ROC curves of a few detectors, one panel for each unknown set.

    Parameters
    ----------
    detectors : mapping from name to mapping
        Each detector's scores of the "known" images and of each set, shape (images,), higher = more in-distribution.
    sets : sequence of str
        The unknown sets to draw.
    subject : str
        The detector that is drawn strongest.

    Returns
    -------
    str
        An `<svg>` element. To the right: known images refused; upwards: unknown images found.

    Raises
    ------
    InputError
        If there is no set, or a set of scores is empty or holds NaN.
    """
    if not sets or not detectors:
        raise InputError("ROC curves need one detector and one unknown set or more, but none came")
    columns = min(len(sets), 4)
    lines = -(-len(sets) // columns)
    with house_style():
        figure = new_figure(10, 10 / columns * lines + 0.7)
        panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes in panels[len(sets) :]:
            axes.set_visible(False)
        for axes, name in zip(panels, sets, strict=False):
            _draw_curves(axes, name, detectors, subject)
        panels[0].legend(loc="lower right", handlelength=1.4)
        figure.supxlabel("known images refused (false alarms)", color=MUTED, fontsize=10.5)
        figure.supylabel("unknown images found", color=MUTED, fontsize=10.5)
    return to_svg(figure, "roc-sets")


def _draw_curves(axes: Axes, name: str, detectors: Mapping[str, Mapping[str, Any]], subject: str) -> None:
    for place, (detector, scores) in enumerate(detectors.items()):
        refused, found = _curve(scores["known"], scores[name], f"{detector}, {name}")
        main = detector == subject
        colour, width = (KNOWN, 2.4) if main else (group_colour(place), 1.5)
        axes.plot(refused, found, color=colour, linewidth=width, label=detector, zorder=3 if main else 2)
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle=(0, (4, 3)), linewidth=1.2)
    axes.set_title(name)
    axes.set_aspect("equal")
    axes.tick_params(labelbottom=True)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _curve(known: Any, unknown: Any, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares refused and found at so many false-alarm rates that the eye can't tell more."""
    inside, outside = np.sort(as_scores(known, what, needed=True)), np.sort(as_scores(unknown, what, needed=True))
    rows = np.linspace(0, len(inside) - 1, min(_CURVE, len(inside))).astype(int)
    refused = np.searchsorted(inside, inside[rows], side="left") / len(inside)
    found = np.searchsorted(outside, inside[rows], side="left") / len(outside)
    return np.append(refused, 1.0), np.append(found, 1.0)
