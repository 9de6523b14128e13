"""What holds for every transductive method: pure, indifferent to order, the same alone and among other batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transductive_world import accuracy, make_batch

from ncapps.errors import InputError
from ncapps.fewshot.transductive import TRANSDUCTIVE
from ncapps.fewshot.transductive.batches import shift_to_prototypes, squared_distances

METHODS = pytest.mark.parametrize("name", sorted(TRANSDUCTIVE))


@METHODS
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_images_and_of_classes_makes_no_difference(name, seed):
    queries, prototypes, counts, _ = make_batch(seed, shares=(9, 2, 5), noise=2.0)
    found = TRANSDUCTIVE[name](queries, prototypes, counts)
    rng = np.random.default_rng(seed)
    images, classes = rng.permutation(len(queries)), rng.permutation(len(prototypes))
    other = TRANSDUCTIVE[name](queries[images], prototypes[classes], counts[classes])
    assert np.allclose(other, found[images][:, classes], atol=1e-6)


@METHODS
def test_rows_are_probabilities_and_nothing_is_changed(name):
    batch = make_batch(3, shots=5)[:3]
    before = [array.copy() for array in batch]
    first = TRANSDUCTIVE[name](*batch)
    TRANSDUCTIVE[name](*make_batch(4)[:3])
    assert np.array_equal(TRANSDUCTIVE[name](*batch), first)
    assert all(np.array_equal(array, kept) for array, kept in zip(batch, before, strict=True))
    assert first.shape == (75, 5)
    assert first.min() >= 0
    assert np.allclose(first.sum(axis=1), 1, atol=1e-12)


@METHODS
def test_batches_side_by_side_are_as_each_alone(name):
    batches = [make_batch(seed, noise=1.5) for seed in range(4)]
    stacked = TRANSDUCTIVE[name](*(np.stack([batch[part] for batch in batches]) for part in range(3)))
    for row, (queries, prototypes, counts, _) in zip(stacked, batches, strict=True):
        assert np.allclose(row, TRANSDUCTIVE[name](queries, prototypes, counts), atol=1e-10)


@METHODS
def test_a_balanced_batch_is_named_better_than_image_by_image(name):
    gains = []
    for seed in range(20):
        queries, prototypes, counts, truth = make_batch(seed, noise=2.0)
        alone = accuracy(queries @ prototypes.T, truth)
        gains.append(accuracy(TRANSDUCTIVE[name](queries, prototypes, counts), truth) - alone)
    assert np.mean(gains) > 2 * np.std(gains) / np.sqrt(len(gains))


@METHODS
@pytest.mark.parametrize("images", [0, 1, 2])
def test_tiny_batches_work(name, images):
    queries, prototypes, counts, _ = make_batch(1)
    found = TRANSDUCTIVE[name](queries[:images], prototypes, counts)
    assert found.shape == (images, 5)
    assert np.allclose(found.sum(axis=1), 1)


@METHODS
def test_the_same_image_many_times_is_named_once_for_all(name):
    queries, prototypes, counts, _ = make_batch(2)
    found = TRANSDUCTIVE[name](np.repeat(queries[:1], 12, axis=0), prototypes, counts)
    assert np.ptp(found, axis=0).max() < 1e-9


@METHODS
def test_extreme_scales_give_finite_probabilities(name):
    queries, prototypes, counts, _ = make_batch(5)
    for scale in (1e-6, 1e6):
        found = TRANSDUCTIVE[name](queries, prototypes, counts, scale=scale)
        assert np.isfinite(found).all()
        assert np.allclose(found.sum(axis=1), 1)


@METHODS
def test_errors_name_the_cause(name):
    queries, prototypes, counts, _ = make_batch()
    method = TRANSDUCTIVE[name]
    with pytest.raises(InputError, match="don't lie in one space; was only one of the two projected"):
        method(queries[:, :-1], prototypes, counts)
    with pytest.raises(InputError, match=r"there are 5 prototypes, but counts of shape \(4,\)"):
        method(queries, prototypes, counts[:-1])
    with pytest.raises(InputError, match="1 or more, but a smaller one came"):
        method(queries, prototypes, 0 * counts)
    with pytest.raises(InputError, match="scale must be above 0, but 0 came"):
        method(queries, prototypes, counts, scale=0)


def test_distances_and_shift_are_those_of_their_definitions():
    queries, prototypes, _, _ = make_batch(7, shares=(3, 4))
    far = 1e6
    expected = ((queries[:, None] - prototypes) ** 2).sum(axis=-1)
    assert np.allclose(squared_distances(queries + far, prototypes + far), expected, rtol=1e-6)
    assert squared_distances(prototypes, prototypes).min() >= 0
    assert np.allclose(shift_to_prototypes(queries, prototypes).mean(axis=0), prototypes.mean(axis=0))
    assert shift_to_prototypes(queries[:0], prototypes).shape == (0, 40)
