from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ncapps.errors import InputError
from ncapps.features.preprocessing import Preprocessing
from ncapps.training import dataset as module
from ncapps.training.dataset import read_dataset

SMALL = Preprocessing(size=(8, 8), crop_pct=1.0)


def random_images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


def test_images_of_the_networks_size_come_in_untouched_and_labels_by_name():
    images = random_images(4)
    data = read_dataset(images, ["b", "a", "c", "a"], SMALL)
    assert np.array_equal(data.pixels.numpy(), images)
    assert data.classes == ("a", "b", "c")
    assert data.targets.tolist() == [1, 0, 2, 0]


def test_an_unreadable_image_is_named_and_no_other_takes_its_place(tmp_path, caplog):
    for number, name in enumerate(["cat/0.png", "cat/1.png", "dog/2.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (10, 10), (number * 50,) * 3).save(tmp_path / name)
    (tmp_path / "cat/1.png").write_bytes(b"no image")
    data = read_dataset(tmp_path, None, SMALL)
    assert [key for key, _ in data.skipped] == ["cat/1.png"]
    assert "cat/1.png is left out" in caplog.text
    assert data.targets.tolist() == [0, 1]
    assert data.pixels[:, 0, 0, 0].tolist() == [0, 100]


def test_only_unreadable_images_are_an_error(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="none of the 1 images"):
        read_dataset(tmp_path, None, SMALL)


def test_what_does_not_fit_into_memory_goes_to_a_file_that_leaves_nothing_behind(tmp_path, monkeypatch):
    images = random_images(6)
    monkeypatch.setattr(module, "MEMORY_LIMIT", 100)
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    data = read_dataset(images, [0, 1] * 3, SMALL)
    assert np.array_equal(data.pixels.numpy(), images)
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_follows_pixels_labels_and_names():
    images = random_images(4)
    first = read_dataset(images, [0, 1, 0, 1], SMALL).fingerprint()
    assert first == read_dataset(images.copy(), [0, 1, 0, 1], SMALL).fingerprint()
    assert first != read_dataset(images, [0, 1, 1, 1], SMALL).fingerprint()
    assert first != read_dataset(images, [0, 2, 0, 2], SMALL).fingerprint()
    assert first != read_dataset(images[::-1], [0, 1, 0, 1], SMALL).fingerprint()


def test_a_subset_keeps_the_classes_shares_and_depends_on_the_seed_alone():
    labels = [0] * 60 + [1] * 30 + [2] * 10
    data = read_dataset(random_images(100), labels, SMALL)
    chosen = data.subset(20, seed=0)
    assert len(chosen) == len(set(chosen.tolist())) == 20
    assert torch.bincount(data.targets[chosen]).tolist() == [12, 6, 2]
    assert torch.equal(chosen, data.subset(20, seed=0))
    assert not torch.equal(chosen, data.subset(20, seed=1))
    assert torch.equal(data.subset(500, seed=0), torch.arange(100))
