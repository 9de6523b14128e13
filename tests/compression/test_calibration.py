"""Calibration images: what is taken, in which order, and what is refused."""

import numpy as np
import pytest
import torch

from ncapps.compression.calibration import Calibration, gather, gather_held_out
from ncapps.errors import InputError


def numbered(count):
    """Images that hold nothing but their own number."""
    return torch.arange(float(count))[:, None, None, None].expand(count, 1, 2, 2)


def numbers(calibration):
    return calibration.images[:, 0, 0, 0].tolist()


def test_batches_are_the_images_in_order():
    calibration = Calibration(images=numbered(7), labels=None, batch_size=3)
    batches = list(calibration.batches(torch.device("cpu")))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert torch.equal(torch.cat(batches), calibration.images)
    assert len(calibration) == 7


def test_a_larger_batch_is_drawn_from_by_seed_with_labels_in_step():
    names = [f"image {i}" for i in range(50)]
    drawn = [gather(numbered(50), names, limit=20, batch_size=8, seed=seed) for seed in (0, 0, 1)]
    assert numbers(drawn[0]) == numbers(drawn[1]) == sorted(set(numbers(drawn[0])))
    assert numbers(drawn[0]) != numbers(drawn[2])
    assert drawn[0].labels.tolist() == [f"image {number:.0f}" for number in numbers(drawn[0])]


def test_an_iterable_is_read_until_enough_have_come():
    taken = []

    def batches():
        for start in range(0, 100, 10):
            taken.append(start)
            yield numbered(100)[start : start + 10], np.arange(start, start + 10)

    calibration = gather(batches(), None, limit=25, batch_size=8, seed=0)
    assert taken == [0, 10, 20]
    assert numbers(calibration) == calibration.labels.tolist() == list(range(25))


def test_labels_beside_an_iterable_are_cut_to_it():
    calibration = gather(iter(numbered(9).split(4)), list("abcdefghi"), limit=6, batch_size=8, seed=0)
    assert calibration.labels.tolist() == list("abcdef")


def test_arrays_become_float32_tensors():
    calibration = gather(np.ones((2, 3, 4, 4)), None, limit=5, batch_size=1, seed=0)
    assert calibration.images.dtype == torch.float32
    assert calibration.labels is None


def test_an_image_that_is_not_finite_is_counted():
    images = numbered(5).clone()
    images[2, 0, 1, 1] = float("inf")
    with pytest.raises(InputError, match="held_out images hold NaN or infinity in 1 of 5 images"):
        gather(images, None, limit=9, batch_size=2, seed=0, name="held_out images")


@pytest.mark.parametrize(
    ("images", "words"),
    [(7, "float batch or an iterable of batches, but int came"), (numbered(2).long(), "must be floats.*int64")],
)
def test_what_is_no_batch_is_refused(images, words):
    with pytest.raises(InputError, match=words):
        gather(images, None, limit=9, batch_size=2, seed=0)


def test_held_out_images_come_with_labels_or_without_and_all_are_kept():
    images, labels = torch.randn(700, 1, 2, 2), list(range(700))
    assert gather_held_out(images, batch_size=64).labels is None
    found = gather_held_out((images, labels), batch_size=64)
    assert torch.equal(found.images, images)
    assert found.labels is not None
    assert found.labels.tolist() == labels
    with pytest.raises(InputError, match="held_out images"):
        gather_held_out(images[:0], batch_size=64)


def test_a_folder_is_no_batch():
    with pytest.raises(
        InputError, match="images must be a float batch .* but str came; `ncapps compress` reads folders"
    ):
        gather("photos/", None, limit=4, batch_size=2, seed=0)
