"""The marks of the geometry picture: what is seen where, and how near things are drawn stronger than far ones."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from ncapps.report.camera import Camera
from ncapps.report.palette import MUTED, UNKNOWN, class_colour, text_colour

_DEPTH_BANDS = 4
_EDGE_PIECES = 8
_MOST_NAMED = 40


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """Places on the picture, shape (n, 2), with their nearness, -1 = far to 1 = near; known classes come first."""

    names: tuple[str, ...]
    n_known: int
    classes: np.ndarray
    seen_images: np.ndarray
    near_images: np.ndarray
    seen_means: np.ndarray
    seen_corners: np.ndarray
    edges: tuple[tuple[np.ndarray, np.ndarray], ...]
    seen_strangers: np.ndarray

    @classmethod
    def build(
        cls,
        *,
        view: np.ndarray,
        origin: np.ndarray,
        means: np.ndarray,
        corners: np.ndarray,
        names: tuple[str, ...],
        n_known: int,
        images: np.ndarray,
        classes: np.ndarray,
        strangers: np.ndarray,
    ) -> Scene:
        """Project all on the view, in units of the furthest corner, and look at them."""
        flat = (corners - origin) @ view
        unit = np.linalg.norm(flat, axis=1).max()
        project = _projector(view, origin, unit)
        solid = view.shape[1] == 3
        landmarks = np.concatenate([(corners + means[:n_known]) / 2, means[n_known:]])
        camera = Camera.facing(project(landmarks)) if solid else Camera(rotation=np.eye(3), distance=1e9)
        seen_images, near_images = camera.look(project(images))
        placed = project(corners)
        steps = np.linspace(0, 1, _EDGE_PIECES + 1 if n_known <= 12 and solid else 2)[:, None]
        edges = tuple(
            camera.look(placed[a] * (1 - steps) + placed[b] * steps) for a, b in combinations(range(n_known), 2)
        )
        return cls(
            names=names,
            n_known=n_known,
            classes=classes,
            seen_images=seen_images,
            near_images=near_images,
            seen_means=camera.look(project(means))[0],
            seen_corners=camera.look(project(corners))[0],
            edges=edges,
            seen_strangers=camera.look(project(strangers))[0],
        )


def _projector(view: np.ndarray, origin: np.ndarray, unit: float):  # noqa: ANN202
    def project(points: np.ndarray) -> np.ndarray:
        flat = (points - origin) @ view / unit
        return np.pad(flat, ((0, 0), (0, 3 - flat.shape[1])))

    return project


def draw_edges(axes: Axes, scene: Scene) -> None:
    """Draw the simplex's edges, fading with depth."""
    pieces, strengths = [], []
    for line, near in scene.edges:
        pieces.extend(zip(line[:-1], line[1:], strict=True))
        strengths.extend((near[:-1] + near[1:]) / 2)
    strength = (np.round((np.array(strengths) + 1) * 5) / 10).clip(0, 1)
    crowd = min(1.0, 12 / scene.n_known)
    for level in np.unique(strength):
        chosen = [piece for piece, value in zip(pieces, strength, strict=True) if value == level]
        axes.add_collection(
            LineCollection(
                chosen,
                colors=MUTED,
                alpha=float((0.12 + 0.5 * level**1.5) * crowd),
                linewidths=float(0.6 + 1.1 * level),
                capstyle="butt",
                zorder=1.5 + level,
            ),
            autolim=False,
        )


def draw_dots(axes: Axes, scene: Scene) -> None:
    """Draw one dot an image, larger the nearer; unknown images as crosses."""
    if len(scene.seen_strangers):
        axes.plot(
            *scene.seen_strangers.T,
            linestyle="none",
            marker="x",
            markersize=4.5,
            markeredgewidth=1.1,
            color=UNKNOWN,
            alpha=0.75,
            zorder=2.6,
        )
    bands = np.floor((scene.near_images + 1) / 2 * _DEPTH_BANDS).clip(0, _DEPTH_BANDS - 1).astype(int)
    for band in range(_DEPTH_BANDS):
        for place in range(len(scene.names)):
            chosen = scene.seen_images[(scene.classes == place) & (bands == band)]
            if len(chosen):
                axes.plot(
                    *chosen.T,
                    linestyle="none",
                    marker="o" if place < scene.n_known else "D",
                    markersize=3.6 + 0.8 * band - (0 if place < scene.n_known else 0.6),
                    color=class_colour(place),
                    markeredgewidth=0,
                    alpha=0.5,
                    zorder=3 + band / _DEPTH_BANDS,
                )


def draw_badges(axes: Axes, scene: Scene) -> None:
    """Name each class beside its mean, outwards from the centre; a ring marks its corner of the simplex."""
    for place, (mean, name) in enumerate(zip(scene.seen_means, scene.names, strict=True)):
        colour, is_known = class_colour(place), place < scene.n_known
        if is_known:
            corner = scene.seen_corners[place]
            axes.plot(*zip(corner, mean, strict=True), color=colour, linewidth=1.4, zorder=4.3)
            axes.plot(*corner, marker="o", markersize=15, mfc="none", mec=colour, mew=1.6, zorder=4.4)
        axes.plot(
            *mean,
            marker="o" if is_known else "D",
            markersize=7.5 if is_known else 8.5,
            mfc=colour,
            mec="white",
            mew=1.5,
            zorder=5,
        )
        if len(scene.names) > _MOST_NAMED:
            continue
        length = float(np.linalg.norm(mean))
        outwards = mean / length if length > 0.05 else np.array([0.0, 1.0])
        _badge(axes, mean, outwards, name, colour, is_known=is_known, order=6 + place / 500)


def _badge(
    axes: Axes, mean: np.ndarray, outwards: np.ndarray, name: str, colour: str, *, is_known: bool, order: float
) -> None:
    """Write a short name on a disc, a long one in a box; full for known classes, hollow for added ones."""
    fill, edge, ink = (colour, "white", text_colour(colour)) if is_known else ("white", colour, colour)
    short = len(name) <= 2
    right, up = outwards * (25 if short else 29) / 72
    x, y = mean
    moved = axes.transData + ScaledTranslation(right, up, axes.figure.dpi_scale_trans)  # pyright: ignore[reportOptionalMemberAccess]
    text = axes.text(x, y, name, transform=moved, ha="center", fontweight="bold", color=ink, zorder=order + 0.001)
    if short:
        axes.plot(x, y, marker="o", markersize=23, mfc=fill, mec=edge, mew=1.8, transform=moved, zorder=order)
        text.set(va="center_baseline", fontsize=13.5 if len(name) == 1 else 11.5)
    else:
        box = {"boxstyle": "round,pad=0.35", "facecolor": fill, "edgecolor": edge, "linewidth": 1.6}
        text.set(va="center", fontsize=10.5, bbox=box)


def draw_legend(figure: Figure, scene: Scene, *, fitted: bool) -> None:
    """Explain the marks in one row below the picture."""
    marks = {"one image": {"marker": "o", "mfc": MUTED, "mec": "none", "markersize": 5}}
    marks["corner of the fitted simplex" if fitted else "class mean"] = {
        "marker": "o",
        "mfc": "none",
        "mec": MUTED,
        "markersize": 11,
    }
    if len(scene.names) > scene.n_known:
        marks["added class"] = {"marker": "D", "mfc": MUTED, "mec": "none", "markersize": 6}
    if len(scene.seen_strangers):
        marks["unknown image"] = {"marker": "x", "color": UNKNOWN, "markersize": 6}
    handles = [Line2D([], [], linestyle="none", label=label, **style) for label, style in marks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), labelcolor=MUTED, handletextpad=0.2)
