"""FAISS's indexes, by kind: loaded, chosen by size, and set up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ncapps.errors import InputError

_KINDS = ("flat", "hnsw", "ivfpq")
_FLAT_UP_TO = 100_000
_HNSW_UP_TO = 4_000_000
# Links of a point in the graph, and candidates while it is built.
_LINKS, _BUILD_WIDTH = 32, 80
# A product quantizer learns 256 code words, and FAISS wants 39 points for each.
_FEWEST_FOR_CODES = 256 * 39
# A word stands for so many dimensions or more, at most 64 words a point; more rounds of k-means gain next to nothing.
_WORD_WIDTH, _MOST_WORDS, _ROUNDS = 4, 64, 10


def load_faiss() -> Any:
    """Return the faiss module."""
    # Two OpenMP runtimes clash unless torch's is loaded before faiss's, so the imports are not in sorted order.
    import torch  # noqa: F401, I001
    import faiss

    return faiss


def choose_kind(kind: str, points: int) -> str:
    """Return the kind to build for a number of points; "auto" goes by that number.

    Raises
    ------
    InputError
        If the kind is unknown, or the points are too few for it.
    """
    if kind not in ("auto", *_KINDS):
        raise InputError(f"index {kind!r} is not known; choose one of auto, {', '.join(_KINDS)}")
    if kind == "ivfpq" and points < _FEWEST_FOR_CODES:
        raise InputError(f"an IVF-PQ index needs {_FEWEST_FOR_CODES} points, but {points} came; take flat or hnsw")
    if kind != "auto":
        return kind
    return "flat" if points <= _FLAT_UP_TO else "hnsw" if points <= _HNSW_UP_TO else "ivfpq"


def empty_index(kind: str, points: np.ndarray, seed: int) -> Any:
    """Return an index without points, what it has to learn learned."""
    faiss = load_faiss()
    count, width = points.shape
    if kind == "flat":
        return faiss.IndexFlatL2(width)
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(width, _LINKS)
        index.hnsw.efConstruction = _BUILD_WIDTH
        index.hnsw.rng = faiss.RandomGenerator(seed)
        return index
    lists = min(int(4 * count**0.5), count // 39)
    words = max(n for n in range(1, max(1, min(width // _WORD_WIDTH, _MOST_WORDS)) + 1) if width % n == 0)
    index = faiss.index_factory(width, f"IVF{lists},PQ{words}x8")
    index.cp.seed = index.pq.cp.seed = seed
    index.cp.niter = index.pq.cp.niter = _ROUNDS
    index.train(points)
    index.nprobe = max(lists // 16, min(lists, 16))
    return index


@contextmanager
def using_threads(count: int | None) -> Iterator[None]:
    """Let FAISS use so many threads in the block, where a number is given."""
    faiss = load_faiss()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count or before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
