"""`NeighborIndex`: the k nearest of many points by FAISS, exact or fast, in one array of bytes."""

from __future__ import annotations

import struct
from typing import Any, Self

import numpy as np

from ncapps.arrays import as_features, check_finite
from ncapps.errors import InputError
from ncapps.ood.faiss_indexes import choose_kind, empty_index, load_faiss, using_threads

# The fewest candidates of a search in the graph.
_SEARCH_WIDTH = 128
_RECALL_SAMPLE, _RECALL_AT = 200, 50
_TRAILER = struct.Struct("<8sd")


class NeighborIndex:
    """Nearest neighbours, by Euclidean distance, among the rows of a matrix; float32 inside, and held once.

    The points live in one array of bytes, which is also what a file keeps: reading it back builds and copies nothing.
    A search changes nothing, so any number of threads may search at once.

    Attributes
    ----------
    kind : {"flat", "hnsw", "ivfpq"}
        Exact; a graph of neighbours (HNSW: fast, exact distances, now and then a neighbour missed); or codes in
        inverted lists (IVF-PQ: small and fast, all distances approximate).
    recall : float
        Share of the 50 nearest points that a search finds, measured when built on points of the index itself, each
        left out of its own answer; 1 for "flat".

    Examples
    --------
    >>> import numpy as np
    >>> index = NeighborIndex.build(np.eye(3))
    >>> squared, rows = index.search(np.array([[0.0, 2.0, 1.0]]), k=2)
    >>> squared.tolist(), rows.tolist()
    ([[2.0, 4.0]], [[1, 2]])
    """

    def __init__(self, data: np.ndarray) -> None:
        faiss = load_faiss()
        data = np.ascontiguousarray(data, dtype=np.uint8)
        try:
            kind, self.recall = _TRAILER.unpack(data[-_TRAILER.size :].tobytes())
            self.kind = kind.rstrip(b"\0").decode("ascii")
            # The index looks into these bytes: both have to live as long as it does.
            self._data = data
            self._reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(data), data.nbytes - _TRAILER.size)
            self._index: Any = faiss.read_index(self._reader, faiss.IO_FLAG_MMAP_IFC)
        except (RuntimeError, struct.error, UnicodeDecodeError):
            raise InputError("the bytes hold no neighbour index; is the file they came from damaged?") from None
        self._vectors = _vectors(self._index) if self.kind != "ivfpq" else None

    @classmethod
    def build(cls, points: Any, kind: str = "auto", seed: int = 0, threads: int = 1) -> Self:
        """Build an index over points, shape (points, feature width).

        Parameters
        ----------
        kind : {"auto", "flat", "hnsw", "ivfpq"}
            "auto" is flat up to 100,000 points, HNSW up to 4,000,000, and IVF-PQ beyond.
        seed : int
            For the graph's levels, the code words and the sample that the recall is measured on.
        threads : int
            That HNSW and IVF-PQ are built by. With one, the same points and seed give the same bytes; more are faster,
            but the order in which they link the points is chance.

        Raises
        ------
        InputError
            If there is no point, one is not finite in float32, the kind is unknown, or the points are too few for it.
        """
        points = as_features(points, min_rows=1, keep_float32=True)
        points = np.ascontiguousarray(_float32(points))
        kind = choose_kind(kind, len(points))
        with using_threads(threads if kind != "flat" else None):
            index = empty_index(kind, points, seed)
            index.add(points)
        built = cls(_pack(index, kind, 1.0))
        if kind == "flat":
            return built
        return cls(_pack(index, kind, _measure_recall(built, points, seed)))

    @classmethod
    def from_bytes(cls, data: np.ndarray) -> Self:
        """Read what `to_bytes` returned, without a copy; raises InputError if it is damaged."""
        return cls(data)

    def to_bytes(self) -> np.ndarray:
        """Return the whole index as uint8, shape (bytes,): the very memory that it searches, not to be written to."""
        return self._data

    def __len__(self) -> int:
        return self._index.ntotal

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._data,)

    @property
    def width(self) -> int:
        """Feature width."""
        return self._index.d

    @property
    def vectors(self) -> np.ndarray:
        """The points, shape (points, feature width), float32: a view, not to be written to.

        Raises
        ------
        InputError
            If the index is IVF-PQ, which keeps codes alone.
        """
        if self._vectors is None:
            raise InputError("an IVF-PQ index keeps codes, not its points; build it anew from the features")
        return self._vectors

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return squared distances and rows of the k nearest points, each (queries, min(k, points)), nearest first.

        The distances are FAISS's, in float32; `kth` has them exactly.

        Raises
        ------
        InputError
            If k is below 1, or a query is not finite or of another width.
        """
        return self._find(self._checked(queries), k)

    def kth(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the squared distance to the k-th nearest point and its row, each of shape (queries,).

        k beyond the number of points means the farthest one. The distance is taken anew between the float32 points, in
        float64: FAISS's own, |q|^2 + |p|^2 - 2 q.p in float32, is all rounding where features have collapsed. IVF-PQ
        has its approximate distances alone.
        """
        queries = self._checked(queries)
        squared, rows = self._find(queries, k)
        rows = rows[:, -1]
        if self._vectors is None:
            return squared[:, -1].astype(np.float64), rows
        offsets = queries.astype(np.float64) - self._vectors[rows]
        return np.vecdot(offsets, offsets), rows

    def _checked(self, queries: np.ndarray) -> np.ndarray:
        if queries.ndim != 2 or queries.shape[1] != self.width:
            raise InputError(f"queries have the shape {queries.shape}, but the index needs (queries, {self.width})")
        check_finite(queries)
        return np.ascontiguousarray(_float32(queries))

    def _find(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        if k < 1:
            raise InputError(f"k must be 1 or more, but {k} came")
        k = min(int(k), len(self))
        if self.kind != "hnsw":
            squared, rows = self._index.search(queries, k)
        else:
            width = max(_SEARCH_WIDTH, 2 * k)
            squared, rows = self._index.search(queries, k, params=load_faiss().SearchParametersHNSW(efSearch=width))
        short = (rows < 0).any(axis=1)
        if short.any():
            squared[short], rows[short] = self._search_everywhere(queries[short], k)
        return squared, rows

    def _search_everywhere(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Search all points: for queries that reached fewer than k, as in a graph with a part cut off."""
        if self.kind == "hnsw":
            return self._index.storage.search(queries, k)
        faiss = load_faiss()
        return self._index.search(queries, k, params=faiss.SearchParametersIVF(nprobe=self._index.nlist))


def _measure_recall(index: NeighborIndex, points: np.ndarray, seed: int) -> float:
    """Return the share of the nearest points that are found, by distance, so that equally near ones may stand in."""
    k = min(_RECALL_AT, len(points) - 1)
    if k < 1:
        return 1.0
    sample = np.random.default_rng(seed).choice(len(points), min(_RECALL_SAMPLE, len(points)), replace=False)
    _, truly = load_faiss().knn(points[sample], points, k + 1)
    _, found = index.search(points[sample], k + 1)
    shares = []
    for row, true_rows, found_rows in zip(sample, truly, found, strict=True):
        farthest = _distances(points, row, true_rows)[:k].max()
        shares.append((_distances(points, row, found_rows)[:k] <= farthest).mean())
    return float(np.mean(shares))


def _distances(points: np.ndarray, row: int, others: np.ndarray) -> np.ndarray:
    offsets = points[others[others != row]].astype(np.float64) - points[row]
    return np.vecdot(offsets, offsets)


def _pack(index: Any, kind: str, recall: float) -> np.ndarray:
    trailer = np.frombuffer(_TRAILER.pack(kind.encode("ascii"), recall), dtype=np.uint8)
    return np.concatenate([load_faiss().serialize_index(index), trailer])


def _vectors(index: Any) -> np.ndarray:
    faiss = load_faiss()
    flat = faiss.downcast_index(index.storage) if hasattr(index, "storage") else index
    return faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d)


def _float32(matrix: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        single = matrix.astype(np.float32, copy=False)
    if single is not matrix and not np.isfinite(single.sum(dtype=np.float64)):
        raise InputError("features beyond 3e38 do not fit the index's float32; scale them down first")
    return single
