import numpy as np
import pytest

from ncapps.transfer.principal import principal_rows


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (9, 9)])
def test_no_distance_changes(shape):
    rows = np.random.default_rng(0).normal(size=shape)
    rows = rows - rows.mean(axis=0)
    found = principal_rows(rows)
    np.testing.assert_allclose(found @ found.T, rows @ rows.T, atol=1e-9)
    assert found.shape[1] == np.linalg.matrix_rank(rows)


@pytest.mark.parametrize("shape", [(40, 7), (7, 40)])
def test_the_strongest_are_kept(shape):
    rows = np.random.default_rng(0).normal(size=shape)
    rows = rows - rows.mean(axis=0)
    expected = np.linalg.svd(rows, compute_uv=False)[:3]
    np.testing.assert_allclose(np.linalg.norm(principal_rows(rows, 3), axis=0), expected)


def test_no_variance_is_a_column_of_zeros():
    assert principal_rows(np.zeros((3, 2))).tolist() == [[0.0]] * 3
