"""`VertexIndex`: the nearest of many points, by FAISS."""

from __future__ import annotations

from typing import Any

import numpy as np


class VertexIndex:
    """An exact Euclidean nearest-neighbour index over the rows of a matrix, shape (points, feature width)."""

    def __init__(self, points: np.ndarray) -> None:
        # Two OpenMP runtimes clash unless torch's is loaded before faiss's, so the imports are not in sorted order.
        import torch  # noqa: F401, I001
        import faiss

        self.points = points
        # FAISS keeps float32; moving the origin to the points' centre keeps its expanded squares from cancelling.
        self._origin = points.mean(axis=0)
        self._index: Any = faiss.IndexFlatL2(points.shape[1])
        self._index.add(np.ascontiguousarray(points - self._origin, dtype=np.float32))

    def nearest(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the row of the nearest point and the float64 distance to it, both of shape (queries,).

        FAISS finds the neighbour; the distance is taken anew, for in float32 a collapsed one would be all rounding.
        """
        _, found = self._index.search(np.ascontiguousarray(queries - self._origin, dtype=np.float32), 1)
        nearest = found[:, 0]
        return nearest, np.linalg.norm(queries - self.points[nearest], axis=1)
