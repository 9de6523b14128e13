"""Arrays in every usual layout give the same images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ncapps.errors import InputError
from ncapps.features.images import open_images

COLOR = np.random.default_rng(0).integers(0, 256, (5, 7, 9, 3), dtype=np.uint8)


def all_pixels(data) -> np.ndarray:
    source = open_images(data)
    return np.stack([np.asarray(source.read(i)) for i in range(len(source))])


@pytest.mark.parametrize(
    "data",
    [
        COLOR,
        COLOR.transpose(0, 3, 1, 2),
        torch.from_numpy(COLOR),
        torch.from_numpy(COLOR).permute(0, 3, 1, 2),
        COLOR / 255,
        (COLOR / 255).astype(np.float32),
        torch.from_numpy(COLOR).permute(0, 3, 1, 2) / 255,
        COLOR[:, ::-1][:, ::-1],
        list(COLOR),
    ],
)
def test_all_layouts_are_one(data):
    assert np.array_equal(all_pixels(data), COLOR)


def test_torch_reads_channels_first_where_both_are_possible():
    images = np.zeros((2, 3, 8, 3), np.uint8)
    assert open_images(images).read(0).size == (8, 3)
    assert open_images(torch.from_numpy(images)).read(0).size == (3, 8)


@pytest.mark.parametrize("data", [COLOR[:, :, :, 0], COLOR[:, :, :, :1], torch.from_numpy(COLOR[:, None, :, :, 0])])
def test_grey(data):
    assert np.array_equal(all_pixels(data), np.repeat(COLOR[..., :1], 3, axis=-1))


def test_masks_and_transparency():
    assert np.array_equal(all_pixels(COLOR[..., 0] > 99)[..., 0], 255 * (COLOR[..., 0] > 99))
    assert (all_pixels(np.zeros((1, 4, 4, 4), np.uint8)) == 255).all()


def test_keys_and_labels():
    source = open_images(COLOR, labels=torch.tensor([4, 2, 2, 4, 9]))
    assert source.keys == ("000000", "000001", "000002", "000003", "000004")
    assert source.labels == (4, 2, 2, 4, 9)
    assert all(type(label) is int for label in source.labels)
    assert source.classes == (2, 4, 9)
    assert open_images(COLOR).labels is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (COLOR[0], r"have \(7, 9, 3\); is it one image\? then hand over images\[None\]"),
        (COLOR[0, :, :, 0], r"have \(7, 9\); is it one image"),
        (np.zeros((2, 5, 8, 8)), "with 1, 3 or 4 channels, but have"),
        (np.zeros((0, 8, 8)), "no images in an array"),
        (COLOR.astype(np.int64), r"are int64; use images.astype\('uint8'\)"),
        (COLOR.astype(np.float32), "greatest value is 255; divide by 255"),
        (COLOR / 255 - 0.5, "least value is -0.5; were they normalised already"),
        (np.full((1, 4, 4), np.nan), "NaN"),
    ],
)
def test_bad_arrays(data, words):
    with pytest.raises(InputError, match=words):
        open_images(data)
