"""Images as files: what a folder becomes, and whose fault it is where one cannot be opened."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from PIL import Image

from ncapps.errors import InputError
from ncapps.features import folder as module
from ncapps.features.folder import FileSource, open_folder
from ncapps.features.images import UnreadableImage


def test_keys_are_sorted_paths_and_litter_is_left_out(photos):
    source = open_folder(photos)
    assert source.keys == tuple(f"{name}/{file}" for name in ("cat", "dog") for file in ("0.png", "1.jpg", "2.webp"))
    assert source.labels == ("cat",) * 3 + ("dog",) * 3
    assert source.name == "photos"


def test_each_key_reads_its_own_file(photos):
    source = open_folder(photos)
    for index, key in enumerate(source.keys):
        with Image.open(photos / key) as image:
            assert np.array_equal(np.asarray(source.read(index)), np.asarray(image.convert("RGB")))


def test_links_are_followed_but_never_into_themselves(photos):
    (photos / "dog" / "again").symlink_to(photos, target_is_directory=True)
    elsewhere = photos.parent / "eels"
    elsewhere.mkdir()
    Image.new("RGB", (4, 4)).save(elsewhere / "0.png")
    (photos / "eel").symlink_to(elsewhere, target_is_directory=True)
    source = open_folder(photos)
    assert source.keys[-1] == "eel/0.png"
    assert len(source) == 7


def test_a_link_to_nothing_is_told_of_and_not_left_out(photos):
    (photos / "cat" / "3.png").symlink_to(photos / "gone.png")
    source = open_folder(photos)
    index = source.keys.index("cat/3.png")
    assert source.stamp(index) == "missing"
    with pytest.raises(UnreadableImage, match="the file cannot be opened: No such file"):
        source.read(index)


def test_a_stamp_moves_when_the_file_does(photos):
    source = open_folder(photos)
    before = source.stamp(0), source.fingerprint()
    Image.new("RGB", (9, 9)).save(photos / "cat" / "0.png")
    os.utime(photos / "cat" / "0.png", ns=(1, 1))
    assert source.stamp(0).endswith(":1")
    assert source.stamp(0) != before[0]
    assert source.fingerprint() != before[1]


def test_too_many_open_files_blames_no_image(photos, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    source = open_folder(photos)
    monkeypatch.setattr(module, "open", refuse, raising=False)
    with pytest.raises(OSError, match="Too many open files"):
        source.read(0)


def test_images_of_too_many_pixels_are_refused(photos):
    with pytest.raises(UnreadableImage):
        open_folder(photos, max_pixels=10).read(0)


def test_an_image_is_listed_once():
    with pytest.raises(InputError, match="list names the image b twice; list each image once"):
        FileSource("list", ["1", "2", "3"], ["a", "b", "b"])


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="gone cannot be listed: No such file"):
        open_folder(tmp_path / "gone")
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match=r"holds no images \(it holds notes.txt\)"):
        open_folder(tmp_path)
