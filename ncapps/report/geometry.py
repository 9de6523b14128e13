"""`plot_geometry`: the picture of a collapsed network, class means on the corners of a simplex."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ncapps.arrays import as_features, as_labels, native
from ncapps.errors import InputError
from ncapps.report.canvas import house_style, to_svg
from ncapps.report.geometry_marks import Scene, draw_badges, draw_dots, draw_edges, draw_legend
from ncapps.report.palette import FAINT
from ncapps.report.projection import spread_view

_SIZE = (8.6, 6.6)
_MOST_DOTS = 1600
_MOST_EDGED_CLASSES = 24


def plot_geometry(
    features: Any,
    labels: Any,
    *,
    simplex_vertices: Any = None,
    unknown: Any = None,
    added: Any = (),
    title: str = "",
) -> str:
    """Draw features seen in the span of the class means: images, their means, and the simplex that these form.

    The span of the class means, or of the simplex fitted to them, is looked at from the side that keeps its corners
    furthest apart (`spread_view`), in perspective where there are four classes or more. What lies outside the span is
    not seen: unknown images, which have little in it, come to lie near the centre.

    Parameters
    ----------
    features : array-like
        Features, shape (images, feature width).
    labels : array-like
        Class of each image; str or int.
    simplex_vertices : array-like, optional
        Points of a fitted simplex in feature space, shape (classes, feature width), rows in the sorted order of the
        known classes (`SimplexETF.points`); its edges are drawn. Without it, edges join the class means.
    unknown : array-like, optional
        Features of unknown images, shape (images, feature width).
    added : sequence of class names
        Which of the labels were added later; they are set apart by marker, and the view is chosen without them.
    title : str
        Heading inside the picture.

    Returns
    -------
    str
        An `<svg>` element.

    Raises
    ------
    InputError
        If there are fewer than two known classes, an added class has no image, or shapes disagree.

    Examples
    --------
    >>> import numpy as np
    >>> svg = plot_geometry(np.eye(4).repeat(5, axis=0), list("aaaaabbbbbcccccddddd"))
    >>> svg[:4]
    '<svg'
    """
    return to_svg(
        geometry_figure(features, labels, simplex_vertices=simplex_vertices, unknown=unknown, added=added, title=title),
        "geometry",
    )


def geometry_figure(
    features: Any,
    labels: Any,
    *,
    simplex_vertices: Any = None,
    unknown: Any = None,
    added: Any = (),
    title: str = "",
) -> Figure:
    """Return `plot_geometry`'s picture as a matplotlib figure, for `save_png`."""
    features = as_features(features, min_rows=1)
    labels = as_labels(labels, rows=len(features))
    width, added = features.shape[1], tuple(native(name) for name in added)
    names = [native(name) for name in np.unique(labels)]
    known = _known_names(names, added)
    if simplex_vertices is not None:
        simplex_vertices = as_features(simplex_vertices, width, "the picture")
        if len(simplex_vertices) != len(known):
            raise InputError(
                f"{len(known)} known classes came with {len(simplex_vertices)} simplex vertices; one each is needed"
            )
    strangers = (
        np.zeros((0, width)) if unknown is None or not len(unknown) else as_features(unknown, width, "the picture")
    )
    ordered = [*known, *added]
    means = np.stack([features[labels == name].mean(axis=0) for name in ordered])
    kept = _thinned(labels, ordered)
    corners = means[: len(known)] if simplex_vertices is None else simplex_vertices
    scene = Scene.build(
        view=spread_view(corners, 3 if len(known) > 3 else 2),
        origin=means[: len(known)].mean(axis=0),
        means=means,
        corners=corners,
        names=tuple(str(name) for name in ordered),
        n_known=len(known),
        images=features[kept],
        classes=np.array([ordered.index(native(name)) for name in labels[kept]]),
        strangers=strangers[np.linspace(0, len(strangers) - 1, min(len(strangers), 300)).astype(int)],
    )
    return _draw(scene, title, fitted=simplex_vertices is not None)


def _known_names(names: list, added: tuple) -> list:
    missing = [name for name in added if name not in names]
    if missing:
        raise InputError(f"added class {missing[0]!r} has no image among the labels; are its features left out?")
    known = [name for name in names if name not in added]
    if len(known) < 2:
        raise InputError(
            f"the geometry needs two known classes or more, but {len(known)} came; a simplex has two corners"
        )
    return known


def _thinned(labels: np.ndarray, names: list) -> np.ndarray:
    """Return rows evenly spaced within each class, so that a large data set does not make a heavy picture."""
    share = max(2, _MOST_DOTS // len(names))
    rows = [np.flatnonzero(labels == name) for name in names]
    return np.concatenate([row[np.linspace(0, len(row) - 1, min(len(row), share)).astype(int)] for row in rows])


def _draw(scene: Scene, title: str, *, fitted: bool) -> Figure:
    with house_style():
        figure = Figure(figsize=_SIZE)
        axes = figure.add_axes((0.0, 0.07, 1.0, 0.87 if title else 0.93))
        _frame(axes, scene, _SIZE[0] / (_SIZE[1] * (0.87 if title else 0.93)))
        if scene.n_known <= _MOST_EDGED_CLASSES:
            draw_edges(axes, scene)
        draw_dots(axes, scene)
        draw_badges(axes, scene)
        draw_legend(figure, scene, fitted=fitted)
        if title:
            figure.text(0.03, 0.955, title, fontsize=14, fontweight="bold")
    return figure


def _frame(axes: Axes, scene: Scene, shape: float) -> None:
    """Set limits, width / height as `shape`, by the classes and nearly all of their images; the rest is cut off."""
    axes.set_axis_off()
    named = np.concatenate([scene.seen_corners, scene.seen_means])
    near, far = named.min(axis=0), named.max(axis=0)
    low = np.minimum(near - 0.2, np.maximum(scene.seen_images.min(axis=0) - 0.06, near - 0.45))
    high = np.maximum(far + 0.2, np.minimum(scene.seen_images.max(axis=0) + 0.06, far + 0.45))
    middle, half = (low + high) / 2, (high - low) / 2
    half = np.array([max(half[0], half[1] * shape), max(half[1], half[0] / shape)])
    axes.set_xlim(middle[0] - half[0], middle[0] + half[0])
    axes.set_ylim(middle[1] - half[1], middle[1] + half[1])
    axes.plot(0, 0, marker="+", color=FAINT, markersize=9, zorder=1)
