import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncapps.compression.drop import Drop, measure_drop, sure_images
from ncapps.errors import InputError


def answers(codes):
    return np.eye(5)[codes]


def test_counts_by_hand():
    labels = np.array([0, 1, 2, 3, 4, 0])
    drop = measure_drop(answers([0, 1, 2, 0, 4, 1]), answers([0, 2, 2, 3, 0, 2]), labels)
    assert (drop.lost, drop.gained, drop.right_before, drop.changed) == (2, 1, 4, 4)
    assert drop.points == pytest.approx(100 / 6)
    assert drop.accuracy_before == pytest.approx(4 / 6)
    assert drop.accuracy_after == pytest.approx(3 / 6)
    assert drop.agreement == pytest.approx(2 / 6)


def test_without_labels_every_changed_answer_is_lost():
    drop = measure_drop(answers([0, 1, 2, 3]), answers([0, 1, 2, 4]))
    assert (drop.lost, drop.gained, drop.accuracy_before, drop.points) == (1, 0, None, 25.0)


def test_the_interval_without_a_gain_is_wilsons_above():
    """n = 100, 3 lost: Wilson gives 1.03 to 8.45 %, as any table has it."""
    low, high = Drop(images=100, lost=3, gained=0, right_before=None, changed=3).interval
    assert high == pytest.approx(8.452, abs=0.01)
    # Below it also has to allow for gains that did not happen to be seen.
    assert low < 1.03


@given(st.integers(1, 400), st.data())
def test_the_interval_holds_the_drop_and_turns_with_it(images, data):
    lost = data.draw(st.integers(0, images))
    gained = data.draw(st.integers(0, images - lost))
    drop, turned = (
        Drop(images=images, lost=a, gained=b, right_before=a, changed=lost + gained)
        for a, b in ((lost, gained), (gained, lost))
    )
    low, high = drop.interval
    assert -100 - 1e-9 <= low <= drop.points + 1e-9
    assert drop.points - 1e-9 <= high <= 100 + 1e-9
    assert turned.interval == pytest.approx((-high, -low))


def test_the_interval_covers():
    """Of 600 repetitions with a known drop of 3 points, the interval holds it in 92 to 98 %."""
    random = np.random.default_rng(0)
    draws = random.multinomial(300, (0.05, 0.02, 0.93), size=600)
    ends = [Drop(images=300, lost=a, gained=b, right_before=a, changed=a + b).interval for a, b, _ in draws.tolist()]
    covered = np.mean([low <= 3.0 <= high for low, high in ends])
    assert 0.92 < covered < 0.985


def test_within():
    seen = Drop(images=200, lost=2, gained=0, right_before=None, changed=2)
    assert seen.within(1.0)
    assert not seen.within(1.0, sure=True)
    assert not seen.within(0.9)
    assert Drop(images=20, lost=1, gained=0, right_before=None, changed=1).within(0.0), "one image alone"
    assert Drop(images=20, lost=2, gained=5, right_before=9, changed=7).within(0.0), "a gain"


@pytest.mark.parametrize("most", [0.5, 1.0, 3.0])
def test_the_fewest_images_that_can_show_a_bound(most):
    count = sure_images(most)
    for images, shown in ((count, True), (count - 2, False)):
        assert Drop(images=images, lost=0, gained=0, right_before=None, changed=0).within(most, sure=True) is shown


def test_mistakes_get_one_line():
    for arguments in ((np.zeros((0, 3)), np.zeros((0, 3))), (np.zeros((2, 3)), np.zeros((3, 3)))):
        with pytest.raises(InputError, match="outputs of the same images are compared"):
            measure_drop(*arguments)
    with pytest.raises(InputError, match=r"\(2, 3\), \(2, 3\) and 1 labels came"):
        measure_drop(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(1, int))
    with pytest.raises(InputError, match="indices of the network's 3 outputs, 0 to 2, but 0 to 3 came"):
        measure_drop(np.zeros((2, 3)), np.zeros((2, 3)), np.array([0, 3]))
