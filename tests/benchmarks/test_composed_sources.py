"""Joined and turned sources: every image under its own key, label and pixels."""

import numpy as np
import pytest

from ncapps.benchmarks.composed_sources import JoinedSource, TurnedSource
from ncapps.errors import InputError
from ncapps.features.array_source import ArraySource


def make_source(name, images=3, labelled=True, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (images, 6, 6, 3), dtype=np.uint8)
    return ArraySource(pixels, [f"{name}{row}" for row in range(images)] if labelled else None, name=name)


def test_a_joined_source_reads_each_part_in_turn():
    one, other = make_source("a"), make_source("b", 2, seed=1)
    joined = JoinedSource([one, other])
    assert joined.labels == (*one.labels, *other.labels)
    assert len(set(joined.keys)) == 5
    np.testing.assert_array_equal(joined.read(4), other.read(1))
    assert joined.stamp(4) == other.stamp(1)
    np.testing.assert_array_equal(joined.select([4, 0]).read(1), one.read(0))


@pytest.mark.parametrize("sources", [[], [make_source("a", labelled=False)]])
def test_unlabelled_images_are_not_joined(sources):
    with pytest.raises(InputError, match="labelled"):
        JoinedSource(sources)


def test_two_sources_of_one_name_are_refused():
    with pytest.raises(InputError, match="have one name"):
        JoinedSource([make_source("a"), make_source("a", seed=1)])


def test_turned_images_are_turned_and_keep_their_labels():
    source = make_source("a")
    turned = TurnedSource(source)
    assert len(turned) == 9
    assert turned.labels == source.labels * 3
    for turns in (1, 2, 3):
        expected = np.rot90(np.asarray(source.read(2)), turns)
        np.testing.assert_array_equal(turned.read(3 * (turns - 1) + 2), expected)
    assert len({turned.stamp(row) for row in range(9)}) == 9
    assert TurnedSource(make_source("a", labelled=False)).labels is None
