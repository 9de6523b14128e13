"""`plot_collapse`: how loss, accuracy and the collapse measures move over the epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from ncapps.errors import InputError
from ncapps.report.canvas import house_style, new_figure, say_in_the_middle, to_svg
from ncapps.report.palette import ACCENT, ADDED, KNOWN, MUTED

# (title, what it means, ((field, label, colour), ...), log axis, share)
_PANELS = (
    ("Loss", "how wrong the network is", (("loss", "", KNOWN),), True, False),
    (
        "Accuracy",
        "share of images named right",
        (("train_accuracy", "training images", KNOWN), ("val_accuracy", "new images", ACCENT)),
        False,
        True,
    ),
    ("NC1", "spread within the classes", (("nc1", "", KNOWN),), True, False),
    (
        "NC2",
        "distance from a regular simplex",
        (("nc2_equinorm", "unequal lengths", KNOWN), ("nc2_equiangularity", "unequal angles", ACCENT)),
        True,
        False,
    ),
    ("NC3", "classifier against class means", (("nc3", "", KNOWN),), True, False),
    ("NC4", "agreement with the nearest mean", (("nc4", "", ADDED),), False, True),
)


def plot_collapse(history: Iterable[Any], *, plain_from: int | None = None) -> str:
    """Draw six small curves over the epochs: loss, accuracy and NC1 to NC4.

    Parameters
    ----------
    history : iterable of records
        Each with `epoch` and any of loss, train_accuracy, val_accuracy, nc1, nc2_equinorm, nc2_equiangularity, nc3 and
        nc4; None and NaN leave a gap, which the line bridges.
    plain_from : int, optional
        First epoch without augmentation; from there on the panels are shaded.

    Returns
    -------
    str
        An `<svg>` element.

    Raises
    ------
    InputError
        If there is no record, or one has no epoch.
    """
    return to_svg(collapse_figure(history, plain_from=plain_from), "collapse")


def collapse_figure(history: Iterable[Any], *, plain_from: int | None = None) -> Figure:
    """Return `plot_collapse`'s picture as a matplotlib figure, for `save_png`."""
    records = tuple(history)
    if not records:
        raise InputError("the history has no epoch, so there are no curves to draw; was nothing trained?")
    epochs = _column(records, "epoch")
    if not np.isfinite(epochs).all():
        raise InputError("each record of the history needs its epoch as a number, but one has none")
    with house_style():
        figure = new_figure(10, 5.4, gap=0.14)
        for axes, panel in zip(figure.subplots(2, 3).flat, _PANELS, strict=True):
            _draw_panel(axes, records, epochs, panel)
            if plain_from is not None and plain_from <= epochs.max():
                axes.axvspan(plain_from, max(epochs.max(), plain_from + 0.5), color="#f1f4f8", zorder=0, linewidth=0)
    return figure


def _draw_panel(axes: Axes, records: Sequence[Any], epochs: np.ndarray, panel: tuple) -> None:
    title, meaning, lines, log, share = panel
    axes.set_title(f"{title}\n", pad=6)
    axes.set_xlabel("epoch", fontsize=9.5)
    drawn = 0
    for field, label, colour in lines:
        values = _column(records, field)
        seen = np.isfinite(values) & ((values > 0) | (not log))
        if seen.any():
            style = {"marker": "o", "markersize": 4} if seen.sum() < 8 else {}
            axes.plot(epochs[seen], values[seen], color=colour, label=label, **style)
            axes.plot(epochs[seen][-1], values[seen][-1], "o", color=colour, markersize=4.5)
            drawn += 1
    if not drawn:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0, 1.035, meaning, transform=axes.transAxes, color=MUTED, fontsize=9.5)
        say_in_the_middle(axes, "not measured")
        return
    _set_scale(axes, log=log, share=share)
    if len(lines) > 1:
        place = {"loc": "lower left", "bbox_to_anchor": (-0.02, 0.97), "borderpad": 0.2, "ncols": 2}
        axes.legend(fontsize=9.5, labelcolor=MUTED, handlelength=1.0, handletextpad=0.5, columnspacing=1.2, **place)
    else:
        axes.text(0, 1.035, meaning, transform=axes.transAxes, color=MUTED, fontsize=9.5)


def _set_scale(axes: Axes, *, log: bool, share: bool) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        decades = np.log10(high / low)
        subs = (1.0, 2.0, 5.0) if decades < 1.2 else (1.0, 3.0) if decades < 2.6 else (1.0,)
        axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if share:
        low = min(axes.get_ylim()[0], 0.94)
        axes.set_ylim(low, 1 + 0.04 * (1 - low))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_yticks(
            [tick for tick in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, 1.0) if low <= tick < 1.001]
        )


def _column(records: Sequence[Any], field: str) -> np.ndarray:
    values = [getattr(record, field, None) for record in records]
    try:
        return np.array([np.nan if value is None else float(value) for value in values])
    except (TypeError, ValueError):
        raise InputError(f"the history's {field!r} must be numbers or None, but holds something else") from None
