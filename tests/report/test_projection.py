import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.report.camera import Camera
from ncapps.report.projection import spread_view
from ncapps.simplex import SimplexETF


def gaps(points):
    return np.linalg.norm(points[:, None] - points[None], axis=-1)[np.triu_indices(len(points), 1)]


@pytest.mark.parametrize("classes", [5, 8, 12, 30])
def test_directions_are_orthonormal_and_within_the_span(classes):
    means = SimplexETF.construct(classes, 40, seed=1).vertices
    view = spread_view(means, 3)
    np.testing.assert_allclose(view.T @ view, np.eye(3), atol=1e-9)
    span = np.linalg.pinv(means) @ means
    np.testing.assert_allclose(span @ view, view, atol=1e-8)


def test_it_is_deterministic_and_blind_to_translation():
    means = np.random.default_rng(0).standard_normal((7, 9))
    np.testing.assert_array_equal(spread_view(means, 3), spread_view(means, 3))
    np.testing.assert_allclose(spread_view(means + 5, 3), spread_view(means, 3), atol=1e-5)


def test_it_keeps_classes_further_apart_than_singular_vectors_do():
    means = SimplexETF.construct(8, 16, seed=2).vertices
    axes = np.linalg.svd(means - means.mean(axis=0))[2][:3].T
    assert gaps(means @ spread_view(means, 3)).min() > 1.2 * gaps(means @ axes).min()


def test_a_tetrahedron_is_seen_whole():
    means = SimplexETF.construct(4, 6, seed=0).vertices
    np.testing.assert_allclose(gaps(means @ spread_view(means, 3)), gaps(means), atol=1e-9)


def test_two_classes_have_one_direction_and_an_empty_one():
    view = spread_view([[0.0, 0, 0], [0, 3, 4]], 2)
    np.testing.assert_allclose(np.abs(view[:, 0]), [0, 0.6, 0.8], atol=1e-12)
    assert not view[:, 1].any()


def test_coinciding_means_are_refused():
    with pytest.raises(InputError, match="all class means coincide"):
        spread_view(np.ones((3, 4)), 2)


def test_the_camera_sees_near_things_larger():
    camera = Camera(rotation=np.eye(3), distance=4.0)
    seen, near = camera.look(np.array([[1.0, 0, 0.5], [1.0, 0, -0.5]]))
    assert seen[0, 0] > 1 > seen[1, 0]
    assert near.tolist() == [0.5, -0.5]


def test_the_camera_turns_away_from_a_view_in_which_points_hide_one_another():
    points = np.array([[0.0, 0, -1], [0, 0, 1], [1, 0, 0]])
    seen, _ = Camera.facing(points).look(points)
    assert gaps(seen).min() > 0.8
