"""Zips: hostile and damaged ones refused, litter ignored, workers kept apart."""

from __future__ import annotations

import os
import zipfile

import pytest
from photo_files import zip_of

from ncapps.errors import InputError
from ncapps.features.images import UnreadableImage, open_images


class TestZip:
    @pytest.mark.parametrize(
        "name", ["../cat/1.png", "cat/../../1.png", "/cat/1.png", "C:/1.png", "..\\1.png", "\\1.png"]
    )
    def test_entries_that_climb_out_are_refused(self, tmp_path, name):
        path = tmp_path / "evil.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("cat/0.png", b"x")
            archive.writestr(name, b"x")
        with pytest.raises(InputError, match="climbs out of the zip; such a zip is broken or hostile") as caught:
            open_images(path)
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == [path]

    def test_backslashes_separate(self, tmp_path):
        path = tmp_path / "old.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("cat\\1.png", b"x")
            archive.writestr("dog\\1.png", b"x")
        assert open_images(path).labels == ("cat", "dog")

    def test_litter_is_ignored(self, photos, tmp_path):
        path = zip_of(photos, tmp_path / "photos.zip", prefix="photos/")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("__MACOSX/photos/cat/._0.png", b"litter")
            archive.writestr("photos/.DS_Store", b"litter")
        assert open_images(path).labels == open_images(photos).labels

    def test_an_empty_class(self, photos, tmp_path):
        (photos / "eel").mkdir()
        for data in (photos, zip_of(photos, tmp_path / "photos.zip")):
            with pytest.raises(InputError, match=r"class 'eel' has no images.*put images into it or remove it"):
                open_images(data)

    def test_damaged_and_doubled(self, photos, tmp_path):
        path = zip_of(photos, tmp_path / "photos.zip")
        (tmp_path / "half.zip").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(InputError, match="damaged or not a zip .*; was it downloaded in full?"):
            open_images(tmp_path / "half.zip")
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("cat/0.png", b"x")
        with pytest.raises(InputError, match="holds cat/0.png twice"):
            open_images(path)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_forked_workers_do_not_disturb_each_other(self, tmp_path):
        path = tmp_path / "p.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for index in range(200):
                archive.writestr(f"cat/{index:03d}.pgm", b"P5 16 16 255\n" + bytes([index]) * 256)
        source = open_images(path)
        source.read(0)
        children = []
        for _ in range(4):
            child = os.fork()
            if child == 0:
                os._exit(_reads_itself(source))
            children.append(child)
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0, 0]


def _reads_itself(source) -> int:
    """Return 0 if every image is its own, many times over; 1 if one is another's or cannot be read."""
    try:
        return int(any(source.read(i).getpixel((0, 0))[0] != i for _ in range(5) for i in range(200)))
    except UnreadableImage:
        return 1
