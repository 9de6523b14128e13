"""Class-by-class splits: every position once, every class in every part, and always the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncapps.errors import InputError
from ncapps.features.splits import split_by_class


@given(st.lists(st.integers(3, 40), min_size=1, max_size=5), st.integers(0, 5))
def test_parts_are_a_stratified_partition(sizes, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    parts = split_by_class(labels, seed=seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert (np.diff(part) > 0).all()
        for name, size in enumerate(sizes):
            count = int((labels[part] == name).sum())
            assert count >= 1
            assert abs(count - share * size) < 1 or size < 5


def test_the_same_seed_gives_the_same_split_and_another_another():
    labels = ["a", "b"] * 50
    first, again, other = (split_by_class(labels, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_other_classes_do_not_change_how_a_class_is_split():
    alone = split_by_class(["m"] * 20)
    among = split_by_class(["m"] * 20 + ["a"] * 30 + ["z"] * 10)
    for a, b in zip(alone, among, strict=True):
        assert np.array_equal(a, b[b < 20])


def test_a_class_too_small_is_named():
    with pytest.raises(InputError, match=r"class 'rare' has 2 image\(s\), but a split into 3 parts needs one for each"):
        split_by_class(["common"] * 9 + ["rare"] * 2)


@pytest.mark.parametrize("fractions", [(0.5, 0.6), (1.2, -0.2), (1.0, 0.0), ()])
def test_fractions_must_add_up(fractions):
    with pytest.raises(InputError, match="fractions must be positive and add up to 1"):
        split_by_class([0, 1] * 9, fractions)
