import numpy as np
import pytest

from ncapps.ood.triangular import factor_product, triangular_whitener, unwhiten, whiten


@pytest.mark.parametrize(("rows", "width"), [(1, 3), (5, 8), (700, 13), (1, 4000)])
def test_whitening_is_the_product_and_can_be_undone(rows, width):
    random = np.random.default_rng(0)
    if width > 100:
        whitener = np.tril(random.standard_normal((width, width)) / width) + np.eye(width)
    else:
        root = random.standard_normal((width, 2 * width))
        whitener = triangular_whitener(root @ root.T)
        assert np.allclose(whitener @ (root @ root.T) @ whitener.T, np.eye(width), atol=1e-9)
    X = random.standard_normal((rows, width))
    assert np.allclose(whiten(X, whitener), X @ whitener.T, atol=1e-10)
    assert np.allclose(unwhiten(whiten(X, whitener), whitener), X, atol=1e-9)


def test_a_product_with_the_features_is_one_with_the_whitened_ones():
    random = np.random.default_rng(1)
    root = random.standard_normal((6, 9))
    whitener = triangular_whitener(root @ root.T)
    X, W = random.standard_normal((4, 6)), random.standard_normal((3, 6))
    assert np.allclose(whiten(X, whitener) @ factor_product(W, whitener).T, X @ W.T)
