"""The index finds what brute force finds, tells truly how often it does not, and lives in one array of bytes."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.ood.faiss_indexes import choose_kind
from ncapps.ood.neighbor_index import NeighborIndex

KINDS = ("flat", "hnsw", "ivfpq")


def clustered(count=10_000, width=8, seed=0):
    random = np.random.default_rng(seed)
    centers = random.standard_normal((60, width))
    return (centers[random.integers(0, 60, count)] + 0.3 * random.standard_normal((count, width))).astype(np.float32)


def squared_to_all(queries, points):
    return ((queries[:, None].astype(np.float64) - points.astype(np.float64)) ** 2).sum(axis=2)


@pytest.fixture(scope="module", params=KINDS)
def built(request):
    points = clustered()
    return NeighborIndex.build(points, request.param, seed=3), points


def test_flat_agrees_with_brute_force():
    random = np.random.default_rng(0)
    points, queries = random.standard_normal((300, 7)), random.standard_normal((60, 7))
    index = NeighborIndex.build(points)
    every = squared_to_all(queries.astype(np.float32), points.astype(np.float32))
    order = np.argsort(every, axis=1)
    squared, rows = index.search(queries, 9)
    assert np.array_equal(rows, order[:, :9])
    assert np.allclose(squared, np.take_along_axis(every, rows, axis=1), rtol=1e-5)
    tenth, row = index.kth(queries, 10)
    assert np.array_equal(row, order[:, 9])
    assert np.allclose(tenth, np.sort(every, axis=1)[:, 9], rtol=1e-14)
    assert (index.kind, index.recall, len(index), index.width) == ("flat", 1.0, 300, 7)


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_the_order_of_the_points_changes_nothing_but_their_rows(kind):
    points, queries = clustered(2000), clustered(50, seed=1)
    order = np.random.default_rng(2).permutation(len(points))
    squared, rows = NeighborIndex.build(points, kind).search(queries, 5)
    moved, moved_rows = NeighborIndex.build(points[order], kind).search(queries, 5)
    assert np.array_equal(order[moved_rows], rows)
    assert np.allclose(moved, squared)


def test_the_recall_told_is_the_recall_on_fresh_queries(built):
    index, points = built
    queries = points[::29] + np.float32(1e-3)
    every = squared_to_all(queries, points)
    _, rows = index.search(queries, 50)
    truth = np.argsort(every, axis=1)[:, :50]
    found = np.mean([len(set(a) & set(b)) / 50 for a, b in zip(truth, rows, strict=True)])
    assert index.recall == pytest.approx(found, abs=0.03)
    assert index.recall > {"flat": 0.999, "hnsw": 0.98, "ivfpq": 0.1}[index.kind]
    assert index.recall < 0.9 or index.kind != "ivfpq"


def test_a_bad_graph_is_told_by_its_recall(monkeypatch):
    monkeypatch.setattr("ncapps.ood.neighbor_index._SEARCH_WIDTH", 1)
    monkeypatch.setattr("ncapps.ood.faiss_indexes._LINKS", 2)
    monkeypatch.setattr("ncapps.ood.faiss_indexes._BUILD_WIDTH", 2)
    assert NeighborIndex.build(clustered(), "hnsw").recall < 0.9


@pytest.mark.parametrize("built", ["flat", "hnsw", pytest.param("ivfpq", marks=pytest.mark.slow)], indirect=True)
def test_the_same_points_and_seed_give_the_same_bytes(built):
    index, points = built
    assert np.array_equal(NeighborIndex.build(points, index.kind, seed=3).to_bytes(), index.to_bytes())
    if index.kind != "flat":
        assert not np.array_equal(NeighborIndex.build(points, index.kind, seed=4).to_bytes(), index.to_bytes())


def test_bytes_round_trip_without_a_copy_and_bit_for_bit(built):
    index, points = built
    data = index.to_bytes().copy()
    again = NeighborIndex.from_bytes(data)
    assert again.to_bytes() is data
    for got, expected in zip(again.search(points[:99], 7), index.search(points[:99], 7), strict=True):
        assert np.array_equal(got, expected)
    assert (again.kind, again.recall, len(again)) == (index.kind, index.recall, len(points))
    if index.kind != "ivfpq":
        assert np.shares_memory(again.vectors, data)
        assert np.array_equal(again.vectors, points)
        assert index.kind != "flat" or len(data) - points.nbytes < 100


def test_a_deep_copy_searches_alike(built):
    index, points = built
    for got, expected in zip(copy.deepcopy(index).kth(points[:9], 3), index.kth(points[:9], 3), strict=True):
        assert np.array_equal(got, expected)


def test_more_neighbours_than_points_are_all_points(built):
    index, points = built
    squared, rows = index.search(points[:2], len(points) + 5)
    assert squared.shape == rows.shape == (2, len(points))
    assert np.array_equal(np.sort(rows, axis=1), np.tile(np.arange(len(points)), (2, 1)))
    assert squared.max() < 1e6
    few = NeighborIndex.build([[0.0, 3.0], [4.0, 0.0]], "hnsw" if index.kind == "hnsw" else "flat")
    assert few.kth(np.zeros((1, 2)), 50)[0].tolist() == [16.0]
    assert few.recall == 1


def test_one_point_and_zero_vectors():
    for kind in ("flat", "hnsw"):
        index = NeighborIndex.build(np.zeros((1, 2)), kind)
        assert (index.kth(np.array([[3.0, 4.0]]), 1)[0].tolist(), index.recall) == ([25.0], 1.0)
        same = NeighborIndex.build(np.zeros((70, 2)), kind)
        squared, rows = same.search(np.zeros((30, 2)), 60)
        assert not squared.any()
        assert all(len(set(own)) == 60 for own in rows.tolist())


@pytest.mark.parametrize("count", [1, 40])
def test_collapsed_distances_are_no_rounding(count):
    random = np.random.default_rng(5)
    center = random.standard_normal(64)
    points = (center / np.linalg.norm(center) + 1e-5 * random.standard_normal((100, 64))).astype(np.float32)
    queries = points[:count] + np.float32(1e-5)
    squared, rows = NeighborIndex.build(points).kth(queries, 1)
    expected = ((queries.astype(np.float64) - points[rows].astype(np.float64)) ** 2).sum(axis=1)
    assert np.allclose(squared, expected, rtol=1e-12, atol=0)
    assert 0 < squared.max() < 1e-7


def test_threads_search_alike(built):
    index, points = built
    expected = [index.search(points[i : i + 7], 20)[1] for i in range(16)]
    with ThreadPoolExecutor(16) as pool:
        for _ in range(5):
            found = pool.map(lambda i: index.search(points[i : i + 7], 20)[1], range(16))
            assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_kind_goes_by_size():
    sizes = {1: "flat", 100_000: "flat", 100_001: "hnsw", 4_000_000: "hnsw", 4_000_001: "ivfpq"}
    assert {size: choose_kind("auto", size) for size in sizes} == sizes
    assert choose_kind("ivfpq", 10_000) == "ivfpq"


def test_errors_name_the_cause():
    index = NeighborIndex.build(np.eye(3))
    with pytest.raises(InputError, match="NaN or infinity in 1 of 2 rows, the first is row 1"):
        NeighborIndex.build([[0.0, 1.0], [np.nan, 1.0]])
    with pytest.raises(InputError, match="NaN or infinity"):
        index.search(np.full((1, 3), np.inf), 1)
    with pytest.raises(InputError, match="beyond 3e38 do not fit"):
        index.kth(np.full((1, 3), 1e39), 1)
    with pytest.raises(InputError, match=r"shape \(1, 2\), but the index needs \(queries, 3\)"):
        index.search(np.zeros((1, 2)), 1)
    with pytest.raises(InputError, match="k must be 1 or more, but 0 came"):
        index.search(np.zeros((1, 3)), 0)
    with pytest.raises(InputError, match="1 image\\(s\\) or more are needed, but 0 came"):
        NeighborIndex.build(np.zeros((0, 3)))
    with pytest.raises(InputError, match="index 'tree' is not known; choose one of auto, flat, hnsw, ivfpq"):
        NeighborIndex.build(np.eye(3), "tree")
    with pytest.raises(InputError, match="IVF-PQ index needs 9984 points, but 3 came; take flat or hnsw"):
        NeighborIndex.build(np.eye(3), "ivfpq")


def test_codes_give_no_points_back(built):
    index, points = built
    if index.kind == "ivfpq":
        with pytest.raises(InputError, match="keeps codes, not its points"):
            _ = index.vectors
        assert np.all(np.diff(index.kth(points[:5], 3)[0]) != 0)
    else:
        assert np.array_equal(index.vectors, points)


@pytest.mark.parametrize("keep", [0, 10, 60, 2000])
def test_damaged_bytes_are_refused(keep):
    data = NeighborIndex.build(clustered(100)).to_bytes()
    with pytest.raises(InputError, match="hold no neighbour index"):
        NeighborIndex.from_bytes(data[:keep])
    with pytest.raises(InputError, match="hold no neighbour index"):
        NeighborIndex.from_bytes(np.concatenate([np.zeros(50, np.uint8), data[50:]]))
