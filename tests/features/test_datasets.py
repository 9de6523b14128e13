"""Data sets by name: digits from scikit-learn, torchvision's from files laid out as torchvision lays them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torchvision
from PIL import Image

from ncapps.errors import InputError
from ncapps.features.datasets import DATASETS
from ncapps.features.images import open_images


def test_digits():
    digits = open_images("digits")
    assert (len(digits), digits.name, digits.classes) == (1797, "digits", tuple(range(10)))
    first = np.asarray(digits.read(0))
    assert first.shape == (8, 8, 3)
    assert first[0, :4, 0].tolist() == [0, 0, 80, 207]  # ink 0, 0, 5, 13 of 16


def test_every_registered_name_is_a_torchvision_class():
    for entry in DATASETS.values():
        assert entry is None or hasattr(torchvision.datasets, entry.torchvision)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_pixels_in_memory(tmp_path, name):
    folder = tmp_path / DATASETS[name].torchvision / "raw"
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, 3, 28, 28) + images.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 3) + bytes([7, 1, 7]))
    source = open_images(name, root=tmp_path, split="test")
    assert source.name == f"{name}-test"
    assert source.labels == ((7, 1, 7) if name == "mnist" else ("Sneaker", "Trouser", "Sneaker"))
    assert np.array_equal(np.asarray(source.read(2))[:, :, 1], images[2])


def test_files_on_disk(tmp_path):
    folder = tmp_path / "dtd" / "dtd"
    (folder / "images" / "banded").mkdir(parents=True)
    (folder / "labels").mkdir()
    Image.new("RGB", (40, 30)).save(folder / "images" / "banded" / "banded_1.jpg")
    (folder / "labels" / "test1.txt").write_text("banded/banded_1.jpg\n")
    source = open_images("dtd", root=str(tmp_path), split="test")
    assert source.keys == ("dtd/dtd/images/banded/banded_1.jpg",)
    assert source.labels == ("banded",)
    assert source.read(0).size == (40, 30)


@pytest.mark.parametrize("name", [name for name, entry in DATASETS.items() if entry is not None])
def test_missing_files_are_told_and_never_downloaded(tmp_path, name):
    split = (DATASETS[name].splits or (None,))[0]
    with pytest.raises(InputError, match=rf"{name} was not found in .*download=True\) does") as caught:
        open_images(name, root=tmp_path / "nowhere", split=split)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("cifar10", {"split": "train"}, "cifar10 is read from disk: say root="),
        ("cifar10", {"root": "."}, "no split was named; say split= one of train, test"),
        ("cifar10", {"root": ".", "split": "val"}, "has no split 'val'; say split= one of train, test"),
        ("digits", {"split": "train"}, "digits has no split 'train', it is one whole"),
    ],
)
def test_what_has_to_be_said(name, options, words):
    with pytest.raises(InputError, match=words):
        open_images(name, **options)
