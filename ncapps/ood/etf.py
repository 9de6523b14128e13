"""`ETFDetector`: the distance to the nearest vertex of the simplex that the classes collapsed to."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ncapps.arrays import Label, as_features, native, sorted_names, unknown_class
from ncapps.errors import InputError
from ncapps.ood.detector import Detector
from ncapps.ood.index import VertexIndex
from ncapps.simplex import SimplexETF
from ncapps.statistics import ClassStatistics

_VERTICES = ("auto", "means", "simplex")


class ETFDetector(Detector):
    """Distance to the nearest simplex vertex, in units of the vertices' distance from their centre.

    With class means mu_c, centre m = mean of mu_c and scale a = root mean square of ||mu_c - m||:

        s(x) = -min_c ||x - v_c|| / a,    v_c = mu_c, or the vertex of the nearest simplex (Procrustes)

    Under exact collapse it holds all of angle, length and the part outside the simplex's span in one number.

    Parameters
    ----------
    vertices : {"auto", "means", "simplex"}
        Where the vertices come from; "auto" takes the fitted simplex where it lies nearer to the means than the images
        do, and the means elsewhere.

    Attributes
    ----------
    classes_ : tuple
        Names of all classes, fitted and added, sorted.
    vertices_ : numpy.ndarray
        Vertex of each class, shape (classes, feature width).
    scale_ : float
        The unit of the score, in feature units.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> ETFDetector().fit(X, y).score_samples(np.array([[1.0, 0, 0], [0.3, 0.3, 0.4]])).round(2).tolist()
    [-0.0, -0.9]
    """

    def __init__(self, vertices: str = "auto") -> None:
        self.vertices = vertices

    def add_class(self, name: Label, X: Any) -> ETFDetector:
        """Add the mean of a few images as a vertex; threshold, scale and the other vertices stay.

        Raises
        ------
        InputError
            If the name is taken or there is no image.
        """
        check_is_fitted(self)
        X = as_features(X, self.n_features_in_, "this ETFDetector", min_rows=1)
        name = native(name)
        if name in self.classes_:
            raise InputError(f"class {name!r} is there already; remove it first, or choose another name")
        sorted_names(self.classes_, [name])
        self._renew(self.known_, {**self.added_, name: X.mean(axis=0)})
        return self

    def remove_class(self, name: Label) -> ETFDetector:
        """Remove a class's vertex; of an added class nothing is left."""
        check_is_fitted(self)
        name = native(name)
        if name not in self.classes_:
            raise unknown_class(name, self.classes_)
        if len(self.classes_) == 1:
            raise InputError(f"class {name!r} is the last one; a detector without a class can't answer")
        known, added = (
            {key: vertex for key, vertex in group.items() if key != name} for group in (self.known_, self.added_)
        )
        self._renew(known, added)
        return self

    def _fit_statistics(self, statistics: ClassStatistics, head: Any) -> None:
        if self.vertices not in _VERTICES:
            raise InputError(f"vertices {self.vertices!r} is not known; choose one of {', '.join(_VERTICES)}")
        vertices = self._place(statistics)
        centered = statistics.means - statistics.center
        spread = float(np.sqrt((centered**2).sum(axis=1).mean()))
        own = float(np.sqrt(statistics.squares.sum() / statistics.total))
        # One class, or means that coincide up to rounding, span no simplex: their images' spread is the unit then.
        self.scale_ = spread if spread > _rounding(statistics.means) else own or 1.0
        self._renew(dict(zip(statistics.classes, vertices, strict=True)), {})

    def _place(self, statistics: ClassStatistics) -> np.ndarray:
        means = statistics.means
        possible = 2 <= len(means) <= means.shape[1] + 1 and np.ptp(means, axis=0).max() > _rounding(means)
        if self.vertices == "means" or (self.vertices == "auto" and not possible):
            return means
        points = SimplexETF.fit(means).points
        misplaced = ((points - means) ** 2).sum(axis=1).mean()
        near = misplaced <= statistics.squares.sum() / statistics.total
        return points if self.vertices == "simplex" or near else means

    def _renew(self, known: dict[Label, np.ndarray], added: dict[Label, np.ndarray]) -> None:
        names = sorted_names(known, added)
        vertices = np.stack([known[name] if name in known else added[name] for name in names])
        self.known_, self.added_ = known, added
        self.classes_ = names
        self.vertices_ = vertices
        self.index_ = VertexIndex(vertices)

    def _score(self, X: np.ndarray) -> np.ndarray:
        return -self.index_.nearest(X)[1] / self.scale_

    def _arrays(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        groups = {"known": self.known_, "added": self.added_}
        empty = np.zeros((0, self.n_features_in_))
        arrays = {
            key: np.stack([group[name] for name in sorted(group)]) if group else empty for key, group in groups.items()
        }
        arrays["scale"] = np.asarray([self.scale_])
        return arrays, {"names": {key: sorted(group) for key, group in groups.items()}}

    def _restore(self, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> None:
        self.scale_ = float(arrays["scale"][0])
        known, added = (dict(zip(header["names"][key], arrays[key], strict=True)) for key in ("known", "added"))
        self._renew(known, added)


def _rounding(means: np.ndarray) -> float:
    """Return the size below which a difference of means is nothing but rounding."""
    return 1e3 * np.finfo(np.float64).eps * float(np.abs(means).max())
