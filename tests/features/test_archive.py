"""Zips: hostile and damaged ones refused, litter ignored, workers kept apart."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from photo_files import zip_of

from ncapps.errors import InputError
from ncapps.features.images import open_images


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

    def test_forked_workers_do_not_disturb_each_other(self, tmp_path):
        # In a process of its own: the workers of a test run must not inherit threads.
        path = tmp_path / "p.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for index in range(200):
                archive.writestr(f"cat/{index:03d}.pgm", b"P5 16 16 255\n" + bytes([index]) * 256)
        script = (
            "import sys, multiprocessing, numpy as np\n"
            "from ncapps.features.images import open_images\n"
            "source = open_images(sys.argv[1]); source.read(0)\n"
            "def value(i): return int(np.asarray(source.read(i)).max())\n"
            "with multiprocessing.get_context('fork').Pool(4) as pool:\n"
            "    assert pool.map(value, range(200), chunksize=3) == list(range(200))\n"
        )
        root = str(Path(__file__).parents[2])
        subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=60, cwd=root)
