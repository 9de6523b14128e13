"""Shrinkage and whitening, against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncapps.covariance import oas_amount, shrink, whitener
from ncapps.errors import InputError


def draw(rows=40, width=6, seed=0):
    random = np.random.default_rng(seed)
    return np.cov(random.standard_normal((rows, width)) * np.arange(1, width + 1), rowvar=False, bias=True)


@given(amount=st.floats(0, 1))
def test_shrinking_keeps_the_trace_and_pulls_eigenvalues_to_their_mean(amount):
    covariance = draw()
    shrunk = shrink(covariance, amount)
    assert np.trace(shrunk) == pytest.approx(np.trace(covariance))
    values, mean = np.linalg.eigvalsh(covariance), np.trace(covariance) / 6
    np.testing.assert_allclose(np.linalg.eigvalsh(shrunk), mean + (1 - amount) * (values - mean))


def test_shrinking_not_at_all_and_fully():
    covariance = draw()
    np.testing.assert_array_equal(shrink(covariance, 0), covariance)
    np.testing.assert_allclose(shrink(covariance, 1), np.eye(6) * np.trace(covariance) / 6)


@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan")])
def test_an_amount_outside_zero_to_one_is_refused(amount):
    with pytest.raises(InputError, match=f"shrinkage must lie in 0..1, but {amount} came"):
        shrink(np.eye(2), amount)


@given(seed=st.integers(0, 10**6), rows=st.integers(2, 500))
def test_oas_by_its_formula(seed, rows):
    covariance = draw(rows, seed=seed)
    p, total, squared = 6, 0.0, 0.0
    for i in range(p):
        total += covariance[i, i]
        squared += sum(covariance[i, j] * covariance[j, i] for j in range(p))
    amount = ((1 - 2 / p) * squared + total**2) / ((rows + 1 - 2 / p) * (squared - total**2 / p))
    assert oas_amount(covariance, rows) == pytest.approx(min(1.0, amount))


def test_oas_lessens_the_error_and_fades_with_more_images():
    random = np.random.default_rng(0)
    truth = np.diag(np.linspace(1, 2, 20))
    amounts = []
    for rows in (10, 100, 1000, 100_000):
        sample = np.cov(random.standard_normal((rows, 20)) * np.sqrt(np.diag(truth)), rowvar=False, bias=True)
        amounts.append(oas_amount(sample, rows))
        if rows <= 100:
            assert np.linalg.norm(shrink(sample, amounts[-1]) - truth) < np.linalg.norm(sample - truth)
    assert amounts == sorted(amounts, reverse=True)
    assert amounts[-1] < 0.05


def test_oas_has_no_unit_and_knows_the_degenerate_cases():
    covariance = draw()
    assert oas_amount(1e-12 * covariance, 40) == pytest.approx(oas_amount(covariance, 40))
    assert oas_amount(np.eye(4), 10) == 1.0
    assert oas_amount(np.zeros((4, 4)), 10) == 1.0
    assert oas_amount(np.ones((1, 1)), 10) == 1.0


@given(seed=st.integers(0, 10**6), scale=st.floats(1e-8, 1e8))
def test_whitening_makes_the_covariance_the_identity(seed, scale):
    covariance = scale * draw(seed=seed)
    matrix = whitener(covariance)
    np.testing.assert_allclose(matrix @ covariance @ matrix, np.eye(6), atol=1e-8)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-10 * np.abs(matrix).max())


@pytest.mark.parametrize("covariance", [np.zeros((3, 3)), np.ones((3, 3)), draw(rows=4)])
def test_a_singular_covariance_is_refused_and_the_offered_mend_works(covariance):
    with pytest.raises(InputError, match=r"singular.*shrink it first: shrink\(c, oas_amount\(c, n_images\)\)"):
        whitener(covariance)
    if covariance.any():
        whitener(shrink(covariance, oas_amount(covariance, 4)))
