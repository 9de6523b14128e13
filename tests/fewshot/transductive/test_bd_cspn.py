"""BD-CSPN against its paper's equations, class by class, from the support images themselves."""

import numpy as np
import pytest
from transductive_world import make_batch

from ncapps.fewshot.transductive.bd_cspn import bd_cspn, rectify


def cosine(one, other):
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


def by_the_paper(queries, support, sharpness, scale=10.0):
    """Liu et al. 2020, eq. 6 to 9, one class after the other; support has shape (classes, shots, width)."""
    prototypes = support.mean(axis=1)
    shifted = queries + support.reshape(-1, support.shape[-1]).mean(axis=0) - queries.mean(axis=0)
    nearest = [max(range(len(prototypes)), key=lambda c: cosine(row, prototypes[c])) for row in shifted]
    rectified = []
    for c, prototype in enumerate(prototypes):
        rows = [*support[c], *(row for row, near in zip(shifted, nearest, strict=True) if near == c)]
        weights = np.exp([sharpness * cosine(row, prototype) for row in rows])
        rectified.append(weights @ np.array(rows) / weights.sum())
    logits = np.array([[scale * cosine(row, prototype) for prototype in rectified] for row in shifted])
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("sharpness", [1.0, 10.0])
@pytest.mark.parametrize("shares", [(15, 15, 15), (20, 1, 3)])
def test_one_shot_is_the_papers(shares, sharpness):
    queries, prototypes, counts, _ = make_batch(1, shares=shares, noise=1.5)
    found = bd_cspn(queries, prototypes, counts, sharpness=sharpness, shift=True)
    assert np.allclose(found, by_the_paper(queries, prototypes[:, None], sharpness), atol=1e-12)


def test_more_shots_are_nearly_the_papers_without_the_support_images():
    rng = np.random.default_rng(0)
    queries, _, _, _ = make_batch(2, noise=1.5)
    support = rng.standard_normal((5, 1, 40)) + 0.7 * rng.standard_normal((5, 5, 40))
    support /= np.linalg.norm(support, axis=-1, keepdims=True)
    prototypes = support.mean(axis=1)
    found = bd_cspn(queries, prototypes, np.full(5, 5), shift=True)
    expected = by_the_paper(queries, support, 1.0)
    error = np.abs(found - expected).max()
    assert error < 0.01
    assert np.abs(bd_cspn(queries, prototypes, np.full(5, 500), shift=True) - expected).max() > 10 * error


def test_a_prototype_of_many_images_hardly_moves_and_one_without_queries_not_at_all():
    queries, prototypes, _, _ = make_batch(3, shares=(20, 0, 0))
    queries = np.repeat(prototypes[:1], 20, axis=0) + 0.01 * queries
    moved = np.linalg.norm(rectify(queries, prototypes, np.ones(3)) - prototypes, axis=1)
    held = np.linalg.norm(rectify(queries, prototypes, np.full(3, 1000)) - prototypes, axis=1)
    assert moved[0] > 20 * held[0] > 0
    assert np.allclose(moved[1:], 0, atol=1e-15)


def test_without_a_shift_an_offset_of_the_batch_counts():
    queries, prototypes, counts, _ = make_batch(4)
    offset = np.full(40, 0.05)
    shifted = [bd_cspn(rows, prototypes, counts, shift=True) for rows in (queries, queries + offset)]
    assert np.allclose(*shifted)
    left = [bd_cspn(rows, prototypes, counts) for rows in (queries, queries + offset)]
    assert not np.allclose(*left)
