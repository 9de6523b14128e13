"""LaplacianShot against its algorithm written out, and what its neighbours do."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors
from transductive_world import make_batch

from ncapps.errors import InputError
from ncapps.fewshot.transductive.bd_cspn import rectify
from ncapps.fewshot.transductive.laplacian import laplacian, nearest_others


def softmax(row):
    powers = np.exp(row - row.max())
    return powers / powers.sum()


def by_the_paper(queries, prototypes, counts, smoothness, neighbors, steps):
    """Ziko et al. 2020, algorithm 1, image by image."""
    rectified = rectify(queries, prototypes, counts)
    unary = np.array([[((row - p) ** 2).sum() for p in rectified] for row in queries])
    found = NearestNeighbors(n_neighbors=neighbors).fit(queries).kneighbors(return_distance=False)
    assigned = np.array([softmax(-row) for row in unary])
    for _ in range(steps):
        assigned = np.array(
            [softmax(-unary[q] + smoothness * assigned[others].sum(axis=0)) for q, others in enumerate(found)]
        )
    return assigned


@pytest.mark.parametrize(("smoothness", "neighbors", "steps"), [(0.7, 3, 20), (2.0, 1, 5), (0.1, 10, 1)])
def test_it_is_the_algorithm_of_the_paper(smoothness, neighbors, steps):
    batch = make_batch(1, shares=(9, 4, 7), shots=2, noise=1.5)[:3]
    found = laplacian(*batch, smoothness=smoothness, neighbors=neighbors, steps=steps)
    assert np.allclose(found, by_the_paper(*batch, smoothness, neighbors, steps), atol=1e-12)


def test_nearest_others_leave_the_image_itself_out():
    rows = np.array([[0.0], [1.0], [3.0], [3.5]])
    assert nearest_others(rows, 1).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    assert nearest_others(rows, 9).tolist() == (1 - np.eye(4)).tolist()
    assert nearest_others(rows[:1], 3).tolist() == [[0.0]]


def test_without_smoothness_images_are_named_one_by_one():
    queries, prototypes, counts, _ = make_batch(2)
    alone = laplacian(queries, prototypes, counts, smoothness=0)
    assert np.allclose(alone, laplacian(queries, prototypes, counts, steps=0))


def test_neighbours_overrule_a_close_call():
    prototypes, counts = np.eye(2), np.full(2, 10**9)
    between = np.array([[0.52, 0.48]])
    group = np.array([[0.3, 0.7], [0.31, 0.69], [0.29, 0.71]])
    batch = np.concatenate([between, group])
    options = {"neighbors": 3}
    assert laplacian(batch, prototypes, counts, smoothness=0, **options)[0].argmax() == 0
    assert laplacian(batch, prototypes, counts, smoothness=2, **options)[0].argmax() == 1


def test_errors_name_the_option():
    queries, prototypes, counts, _ = make_batch()
    with pytest.raises(InputError, match="neighbors must be above 0, but 0 came"):
        laplacian(queries, prototypes, counts, neighbors=0)
    with pytest.raises(InputError, match="smoothness and steps must be 0 or more, but -1 and 20 came"):
        laplacian(queries, prototypes, counts, smoothness=-1)
