import numpy as np
import pytest
import scipy.special

from ncapps.ood import logits


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (50, 4)])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_they_agree_with_scipy(name, shape, scale):
    z = scale * np.random.default_rng(0).standard_normal(shape)
    before = z.copy()
    expected = getattr(scipy.special, name)(z, axis=1)
    assert np.allclose(getattr(logits, name)(z), expected, rtol=1e-13, atol=1e-13 * scale)
    assert np.array_equal(z, before)


def test_far_logits_neither_overflow_nor_lose_their_logarithm():
    z = np.array([[1e5, -1e5, 0.0]])
    assert logits.logsumexp(z).tolist() == [1e5]
    assert logits.softmax(z).tolist() == [[1.0, 0.0, 0.0]]
    assert logits.log_softmax(z).tolist() == [[0.0, -2e5, -1e5]]
