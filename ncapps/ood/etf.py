"""`ETFDetector`: the distance to the nearest vertex of the simplex that the classes collapsed to."""

from __future__ import annotations

from typing import Any

import numpy as np

from ncapps.errors import InputError
from ncapps.ood.index import VertexIndex
from ncapps.ood.learned import Learned
from ncapps.ood.linear_head import LinearHead
from ncapps.ood.statistics_detector import StatisticsDetector
from ncapps.simplex import SimplexETF
from ncapps.statistics import ClassStatistics

_VERTICES = ("auto", "means", "simplex")


class ETFDetector(StatisticsDetector):
    """Distance to the nearest simplex vertex, in units of the vertices' distance from their centre.

    With class means mu_c, centre m = mean of mu_c and scale a = root mean square of ||mu_c - m||:

        s(x) = -min_c ||x - v_c|| / a,    v_c = mu_c, or the vertex of the nearest simplex (Procrustes)

    Under exact collapse it holds all of angle, length and the part outside the simplex's span in one number.

    Parameters
    ----------
    vertices : {"auto", "means", "simplex"}
        Where the vertices come from; "auto" takes the fitted simplex where it lies nearer to the means than the images
        do, and the means elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> ETFDetector().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]])).round(2).tolist()
    [-0.0, -0.9]
    """

    per_class = ("vertices",)

    def __init__(self, vertices: str = "auto") -> None:
        self.vertices = vertices

    @property
    def vertices_(self) -> np.ndarray:
        """Vertex of each class, shape (classes, feature width)."""
        return self._learned()["vertices"]

    def _learn(self, statistics: ClassStatistics, head: LinearHead | None) -> Learned:
        if self.vertices not in _VERTICES:
            raise InputError(f"vertices {self.vertices!r} is not known; choose one of {', '.join(_VERTICES)}")
        vertices = self._place(statistics)
        centered = statistics.means - statistics.center
        spread = float(np.sqrt((centered**2).sum(axis=1).mean()))
        own = float(np.sqrt(statistics.squares.sum() / statistics.total))
        # One class, or means that coincide up to rounding, span no simplex: their images' spread is the unit then.
        scale = spread if spread > _rounding(statistics.means) else own or 1.0
        return Learned(arrays={"vertices": vertices, "scale": np.asarray(scale)}, classes=statistics.classes)

    def _place(self, statistics: ClassStatistics) -> np.ndarray:
        means = statistics.means
        possible = 2 <= len(means) <= means.shape[1] + 1 and np.ptp(means, axis=0).max() > _rounding(means)
        if self.vertices == "means" or (self.vertices == "auto" and not possible):
            return means
        points = SimplexETF.fit(means).points
        misplaced = ((points - means) ** 2).sum(axis=1).mean()
        near = misplaced <= statistics.squares.sum() / statistics.total
        return points if self.vertices == "simplex" or near else means

    def _class_rows(self, base: Learned, X: np.ndarray) -> dict[str, Any]:
        return {"vertices": X.mean(axis=0)}

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        index = learned.once("index", lambda: VertexIndex(learned["vertices"]))
        return -index.nearest(X)[1] / learned["scale"]

    def _nearest(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        return learned.once("index", lambda: VertexIndex(learned["vertices"])).nearest(X)[0]


def _rounding(means: np.ndarray) -> float:
    """Return the size below which a difference of means is nothing but rounding."""
    return 1e3 * np.finfo(np.float64).eps * float(np.abs(means).max())
