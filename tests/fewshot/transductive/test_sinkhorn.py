"""Sinkhorn assignment: its marginals hold, estimates find the shares, and each part is what its source says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from transductive_world import accuracy, make_batch

from ncapps.errors import InputError
from ncapps.fewshot.transductive.sinkhorn import estimate_shares, sinkhorn, transport

UNEVEN = (40, 20, 8, 4, 3)


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), noise=st.floats(1.0, 5.0))
def test_the_marginals_hold(seed, noise):
    queries, prototypes, counts, _ = make_batch(seed, shares=(7, 4, 1), noise=noise)
    for marginals in (np.array([0.5, 0.3, 0.2]), np.array([0.9, 0.1, 0.0])):
        found = sinkhorn(queries, prototypes, counts, marginals=marginals, scale=3.0)
        assert np.allclose(found.sum(axis=1), 1, atol=1e-12)
        assert np.allclose(found.mean(axis=0), marginals, atol=1e-6)
    uniform = sinkhorn(queries, prototypes, counts, marginals="uniform")
    assert np.allclose(uniform.mean(axis=0), 1 / 3, atol=1e-3)


def test_transport_is_the_entropic_optimum_and_a_hard_kernel_the_cheapest_assignment():
    rng = np.random.default_rng(0)
    scores, shares = rng.standard_normal((6, 3)), np.array([0.5, 1 / 3, 1 / 6])
    found, factors = transport(np.exp(scores), shares)

    def dual(columns):
        return np.logaddexp.reduce(scores + columns, axis=1).sum() - 6 * shares @ columns

    columns = minimize(dual, np.zeros(3), tol=1e-12).x
    powers = np.exp(scores + columns)
    assert np.allclose(found, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)
    # From its own factors on there is nothing left to do.
    assert np.allclose(transport(np.exp(scores), shares, factors, steps=1)[0], found, atol=1e-7)
    rows, ends = np.kron(np.eye(6), np.ones(3)), np.kron(np.ones(6), np.eye(3))
    best = linprog(-scores.ravel(), A_eq=np.vstack([rows, ends]), b_eq=[1] * 6 + [3, 2, 1])
    assert np.allclose(transport(np.exp(60 * scores), shares)[0], best.x.reshape(6, 3), atol=1e-2)


def test_estimated_shares_are_those_that_make_the_batch_likeliest():
    rng = np.random.default_rng(1)
    truth = rng.choice(3, 400, p=[0.7, 0.25, 0.05])
    values = rng.standard_normal(400) + 2.5 * truth
    kernel = np.exp(-0.5 * (values[:, None] - 2.5 * np.arange(3)) ** 2)
    found = estimate_shares(kernel, np.full(3, 1 / 3), 0.0, steps=2000)

    def loss(logits):
        shares = np.exp(logits) / np.exp(logits).sum()
        return -np.log(kernel @ shares).sum()

    best = np.exp(minimize(loss, np.zeros(3), tol=1e-12).x)
    assert np.allclose(found, best / best.sum(), atol=1e-4)
    assert np.abs(found - [0.7, 0.25, 0.05]).max() < 0.06
    # Pseudo-images draw the shares to one another.
    drawn = estimate_shares(kernel, np.full(3, 1 / 3), 1e6)
    assert np.allclose(drawn, 1 / 3, atol=1e-3)


def test_estimated_shares_come_near_those_of_an_uneven_batch_and_help():
    errors, gains = [], []
    for seed in range(20):
        queries, prototypes, counts, truth = make_batch(seed, shares=UNEVEN, shots=5, noise=2.0)
        estimated = sinkhorn(queries, prototypes, counts)
        uniform = sinkhorn(queries, prototypes, counts, marginals="uniform")
        errors.append(np.abs(estimated.mean(axis=0) - np.array(UNEVEN) / 75).max())
        gains.append(accuracy(estimated, truth) - accuracy(uniform, truth))
    # Balance would be wrong by 0.33.
    assert np.mean(errors) < 0.2
    assert np.mean(gains) > 0.1


def test_given_shares_are_worth_as_much_as_balance():
    queries, prototypes, counts, truth = make_batch(1, shares=UNEVEN, noise=2.0)
    told = sinkhorn(queries, prototypes, counts, marginals=np.array(UNEVEN) / 75)
    assert accuracy(told, truth) >= accuracy(sinkhorn(queries, prototypes, counts, marginals="uniform"), truth)


def test_prototypes_of_many_images_stay_where_they_are():
    queries, prototypes, counts, _ = make_batch(2, noise=2.0)
    still = sinkhorn(queries, prototypes, counts, rounds=0)
    assert np.allclose(sinkhorn(queries, prototypes, counts * 10**9), still, atol=1e-5)
    assert np.allclose(sinkhorn(queries, prototypes, counts, rate=0.0), still, atol=1e-5)
    assert np.abs(sinkhorn(queries, prototypes, counts) - still).max() > 0.1


@pytest.mark.parametrize("width", [8, 200])
def test_the_prototypes_move_as_in_pt_map(width):
    queries, prototypes, counts, _ = make_batch(6, shots=3, noise=2.0, width=width)
    moved = prototypes
    for turn in range(6):
        assigned = transport(np.exp(6 * queries @ moved.T), np.full(5, 0.2))[0]
        mean = (3 * prototypes + assigned.T @ queries) / (3 + assigned.sum(axis=0))[:, None]
        moved = moved + 0.2 * (mean - moved) if turn < 5 else moved
    found = sinkhorn(queries, prototypes, counts, marginals="uniform", scale=3.0, rounds=5)
    assert np.allclose(found, assigned, atol=1e-6)


@pytest.mark.parametrize("marginals", ["uniform", "estimated"])
def test_the_origin_of_the_space_makes_no_difference(marginals):
    queries, prototypes, counts, _ = make_batch(8, shots=3, noise=2.0)
    offset = 5 * np.random.default_rng(0).standard_normal(40)
    found = sinkhorn(queries + offset, prototypes + offset, counts, marginals=marginals)
    assert np.allclose(found, sinkhorn(queries, prototypes, counts, marginals=marginals), atol=1e-6)


def test_errors_name_the_option():
    queries, prototypes, counts, _ = make_batch()
    with pytest.raises(InputError, match="marginals must be 'uniform', 'estimated' or an array of shares, but 'even'"):
        sinkhorn(queries, prototypes, counts, marginals="even")
    for wrong in ([0.5, 0.5], [0.2, 0.2, 0.2, 0.2, 0.3], [1.2, -0.2, 0, 0, 0]):
        with pytest.raises(InputError, match="marginals must be 5 shares, none below 0, that add up to 1"):
            sinkhorn(queries, prototypes, counts, marginals=np.array(wrong))
    with pytest.raises(InputError, match=r"rate in 0..1, but 20, 10.0, 2 came"):
        sinkhorn(queries, prototypes, counts, rate=2)
