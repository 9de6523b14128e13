import numpy as np

from ncapps.ood.index import VertexIndex


def test_agrees_with_brute_force():
    random = np.random.default_rng(0)
    points, queries = random.standard_normal((50, 7)), random.standard_normal((200, 7))
    rows, distances = VertexIndex(points).nearest(queries)
    every = np.linalg.norm(queries[:, None] - points, axis=2)
    assert np.array_equal(rows, every.argmin(axis=1))
    assert np.allclose(distances, every.min(axis=1), rtol=1e-12)


def test_far_from_the_origin_neighbours_stay_apart():
    points = 1e5 + np.eye(4)
    rows, distances = VertexIndex(points).nearest(points)
    assert rows.tolist() == [0, 1, 2, 3]
    assert not distances.any()


def test_one_point():
    rows, distances = VertexIndex(np.zeros((1, 2))).nearest(np.array([[3.0, 4.0]]))
    assert rows.tolist() == [0]
    assert distances.tolist() == [5.0]
