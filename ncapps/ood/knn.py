"""`KNN`: distance to the k-th nearest training image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ncapps.arrays import Label, sorted_names
from ncapps.ood.detector import Detector
from ncapps.ood.learned import Learned
from ncapps.ood.neighbor_index import NeighborIndex
from ncapps.ood.ranges import check_range
from ncapps.prototypes import squared_distances, unit_rows

_NEIGHBORS = 50
_BLOCK = 4096


class KNN(Detector):
    """Score -||z - z_(k)||^2, z the feature divided by its length, z_(k) the k-th nearest such training feature.

    Higher = more in-distribution. Sun et al., ICML 2022, section 3; squared, which keeps the order. A feature of zeros
    keeps its zeros and lies at 1 from all others.

    A class added later has its own few rows, and k is there at most the middle one of them: 50 neighbours would reach
    into other classes. An image's score is the best that the fitted bank and the added classes give it.

    Parameters
    ----------
    k : int, optional
        Default: 50, as in the paper for CIFAR-10, or half the mean number of images a class where that is smaller. A k
        beyond the number of training images means the farthest one.
    index : {"auto", "flat", "hnsw", "ivfpq"}
        How neighbours are found: exactly up to 100,000 images, faster and nearly exactly beyond (`NeighborIndex`).
    seed : int
        For an index that is not exact.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.eye(3).repeat(4, axis=0), ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    >>> KNN(k=2).fit(X, y).score_samples(np.array([[2.0, 0, 0], [0.0, 3.0, 4.0]])).round(2).tolist()
    [-0.0, -0.4]
    """

    per_class = ("sizes",)
    # Each image costs a search through the whole bank, and a quantile of a thousand is good to 0.7 points.
    offset_images = 1000

    def __init__(self, k: int | None = None, index: str = "auto", seed: int = 0) -> None:
        self.k = k
        self.index = index
        self.seed = seed

    @property
    def index_(self) -> NeighborIndex:
        """The index over the fitted images, sorted by class; its `recall` tells how exact it is."""
        return self._index(self._learned())

    def _fit(self, X: np.ndarray, y: np.ndarray, head: Any, X_val: np.ndarray | None) -> Learned:
        if self.k is not None:
            check_range("k", self.k, 1, np.inf, closed="low", whole=True)
        names, sizes = np.unique(y, return_counts=True)
        bank = np.empty(X.shape, dtype=np.float32)
        order = np.argsort(y, kind="stable")
        for start in range(0, len(X), _BLOCK):
            rows = order[start : start + _BLOCK]
            bank[start : start + len(rows)] = unit_rows(X[rows])
        k = min(_NEIGHBORS, max(1, len(X) // (2 * len(names)))) if self.k is None else min(self.k, len(X))
        return self._bank(bank, self.index, tuple(names.tolist()), sizes, k)

    def _bank(self, bank: np.ndarray, kind: str, classes: tuple[Label, ...], sizes: np.ndarray, k: int) -> Learned:
        data = NeighborIndex.build(bank, kind, self.seed).to_bytes()
        arrays = {"index": data, "sizes": sizes.astype(np.int64), "k": np.asarray(k)}
        # No rows and no class beside the fitted bank yet.
        arrays |= {"added": np.zeros(len(sizes), bool), "rows": np.zeros((0, bank.shape[1]))}
        return Learned(arrays=arrays, classes=classes)

    def _index(self, learned: Learned) -> NeighborIndex:
        return learned.once("index", lambda: NeighborIndex.from_bytes(learned["index"]))

    def _score(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        X, k = unit_rows(X), int(learned["k"])
        squared, _ = self._index(learned).kth(X, k)
        for own in self._to_added(learned, X):
            nth = min(k, (own.shape[1] + 1) // 2) - 1
            squared = np.minimum(squared, np.partition(own, nth, axis=1)[:, nth])
        return -squared

    def _nearest(self, learned: Learned, X: np.ndarray) -> np.ndarray:
        X, added = unit_rows(X), learned["added"]
        best, rows = self._index(learned).kth(X, 1)
        ends = np.cumsum(learned["sizes"][~added])
        found = np.flatnonzero(~added)[np.searchsorted(ends, rows, side="right")]
        for position, own in zip(np.flatnonzero(added), self._to_added(learned, X), strict=True):
            nearest = own.min(axis=1)
            found[nearest < best] = position
            best = np.minimum(best, nearest)
        return found

    def _to_added(self, learned: Learned, X: np.ndarray) -> list[np.ndarray]:
        """Return the squared distances of the images to the rows of each added class."""
        if not len(learned["rows"]):
            return []
        ends = np.cumsum(learned["sizes"][learned["added"]])[:-1]
        return np.split(squared_distances(X, learned["rows"]), ends, axis=1)

    def _with_classes(self, base: Learned, added: Mapping[Label, np.ndarray]) -> Learned:
        names = sorted_names(base.classes, added)
        sizes = dict(zip(base.classes, base["sizes"].tolist(), strict=True))
        sizes |= {name: len(rows) for name, rows in added.items()}
        arrays = {
            **base.arrays,
            "sizes": np.array([sizes[name] for name in names], dtype=np.int64),
            "added": np.array([name in added for name in names]),
            "rows": np.concatenate([unit_rows(added[name]) for name in sorted(added)]),
        }
        return Learned(arrays=arrays, classes=names)

    def _without(self, base: Learned, name: Label) -> Learned:
        kept = np.array([one != name for one in base.classes])
        index = self._index(base)
        bank = index.vectors[np.repeat(kept, base["sizes"])]
        classes = tuple(one for one in base.classes if one != name)
        return self._bank(bank, index.kind, classes, base["sizes"][kept], min(int(base["k"]), len(bank)))
