"""Every kind of source gives the same images, keys and labels; bad input gets one clear line."""

from __future__ import annotations

import os
import pickle
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from photo_files import list_of, same, zip_of
from PIL import Image

from ncapps.errors import InputError
from ncapps.features.images import UnreadableImage, open_images

DATA = Path(os.environ.get("NCAPPS_DATA", Path(__file__).parents[3] / "shared")) / "data"


class TestOneRuleForAll:
    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_folder_zip_and_lists_are_one(self, photos, tmp_path, method):
        folder = open_images(photos)
        assert folder.keys == ("cat/0.png", "cat/1.jpg", "cat/2.webp", "dog/0.png", "dog/1.jpg", "dog/2.webp")
        assert folder.labels == ("cat",) * 3 + ("dog",) * 3
        assert folder.classes == ("cat", "dog")
        assert same(folder, open_images(str(zip_of(photos, tmp_path / "photos.zip", method=method))))
        assert same(folder, open_images(list_of(photos, ".csv")))
        assert same(folder, open_images(list_of(photos, ".tsv")))

    def test_every_source_survives_pickling(self, photos, tmp_path):
        archive = open_images(zip_of(photos, tmp_path / "photos.zip"))
        archive.read(0)
        for source in (open_images(photos), archive, archive.select([2, 0]), open_images("digits")):
            twin = pickle.loads(pickle.dumps(source))
            assert twin.fingerprint() == source.fingerprint()
            assert np.array_equal(np.asarray(twin.read(1)), np.asarray(source.read(1)))

    def test_the_hint_reaches_the_decoder(self, tmp_path):
        (tmp_path / "photos" / "cat").mkdir(parents=True)
        Image.new("RGB", (640, 480)).save(tmp_path / "photos" / "cat" / "1.jpg")
        for data in (tmp_path / "photos", zip_of(tmp_path / "photos", tmp_path / "p.zip")):
            assert open_images(data).read(0, 60).size == (160, 120)
            assert open_images(data).select([0]).read(0, hint_size=60).size == (160, 120)

    def test_a_source_passes_through(self, photos):
        source = open_images(photos)
        assert open_images(source) is source

    def test_own_labels_replace_the_names(self, photos):
        source = open_images(photos)
        assert open_images(photos, [0, 0, 1, 1, 0, 1]).labels == (0, 0, 1, 1, 0, 1)
        assert open_images(source, list("aabbab")).classes == ("a", "b")
        assert source.classes == ("cat", "dog")
        with pytest.raises(InputError, match="6 images came with 2 labels"):
            open_images(photos, ["a", "b"])

    def test_one_file_and_several(self, photos):
        one = open_images(photos / "cat" / "0.png")
        assert (one.keys, one.labels, one.name, one.classes) == (("0.png",), None, "0.png", ())
        several = open_images([photos / "dog" / "0.png", str(photos / "cat" / "0.png")])
        assert np.array_equal(np.asarray(several.read(1)), np.asarray(one.read(0)))

    def test_a_flat_folder_has_no_labels(self, photos):
        assert open_images(photos / "cat").labels is None

    def test_splits(self, photos, tmp_path):
        both = tmp_path / "both"
        shutil.copytree(photos, both / "train")
        shutil.copytree(photos / "cat", both / "test" / "cat")
        for data in (both, zip_of(both, tmp_path / "both.zip")):
            assert len(open_images(data)) == 9
            assert open_images(data, split="test").keys == ("test/cat/0.png", "test/cat/1.jpg", "test/cat/2.webp")
            assert open_images(data, split="train").labels == open_images(photos).labels


class TestLedger:
    def test_an_unreadable_image_says_why_and_the_others_stay(self, photos, tmp_path):
        (photos / "cat" / "0.png").write_bytes(b"")
        (photos / "cat" / "1.jpg").write_bytes((photos / "dog" / "1.jpg").read_bytes()[:300])
        for data in (photos, zip_of(photos, tmp_path / "photos.zip")):
            source = open_images(data)
            with pytest.raises(UnreadableImage, match="empty"):
                source.read(0)
            with pytest.raises(UnreadableImage, match="truncated"):
                source.read(1)
            assert source.read(2).size == (16, 12)

    def test_a_file_that_vanished(self, photos):
        source = open_images(photos)
        (photos / "cat" / "0.png").unlink()
        with pytest.raises(UnreadableImage, match="cannot be opened: No such file"):
            source.read(0)

    def test_a_broken_link_and_a_link_in_circles(self, photos):
        (photos / "cat" / "9.png").symlink_to(photos / "nowhere.png")
        (photos / "dog" / "loop").symlink_to(photos / "dog", target_is_directory=True)
        source = open_images(photos)
        assert len(source) == 7
        with pytest.raises(UnreadableImage, match="cannot be opened"):
            source.read(source.keys.index("cat/9.png"))

    def test_a_flipped_bit_in_a_zip_is_noticed(self, photos, tmp_path):
        path = zip_of(photos, tmp_path / "photos.zip", method=zipfile.ZIP_STORED)
        data = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            offset = archive.getinfo("cat/0.png").header_offset
        data[offset + 30 + len("cat/0.png") + 60] ^= 1
        path.write_bytes(data)
        source = open_images(path)
        with pytest.raises(UnreadableImage, match="checksum does not match"):
            source.read(0)
        assert source.read(1).size == (16, 12)

    def test_encrypted_and_exotic_entries(self, photos, tmp_path):
        path = zip_of(photos, tmp_path / "photos.zip", method=zipfile.ZIP_LZMA)
        with pytest.raises(UnreadableImage, match="packed by method 14"):
            open_images(path).read(0)
        data = bytearray(zip_of(photos, tmp_path / "photos.zip").read_bytes())
        for at in range(len(data) - 4):
            if data[at : at + 4] == b"PK\1\2":
                data[at + 8] |= 1
        path.write_bytes(data)
        with pytest.raises(UnreadableImage, match="encrypted"):
            open_images(path).read(0)

    def test_a_zip_bomb_unpacks_no_further_than_it_states(self, tmp_path):
        path = tmp_path / "bomb.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("cat/1.png", b"\0" * 50_000_000)
        data = bytearray(path.read_bytes())
        at = data.index(b"PK\1\2")
        data[at + 24 : at + 28] = struct.pack("<I", 1000)
        path.write_bytes(data)
        with pytest.raises(UnreadableImage, match="checksum"):
            open_images(path).read(0)

    def test_max_pixels_reaches_every_file_source(self, photos, tmp_path):
        for data in (photos, zip_of(photos, tmp_path / "p.zip"), list_of(photos), photos / "cat" / "0.png"):
            with pytest.raises(UnreadableImage, match="too large"):
                open_images(data, max_pixels=100).read(0)


class TestBadInput:
    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda t: t / "a" / "b", r"a/b does not exist; the nearest folder that does is .*"),
            (lambda t: t / "photo", r"photo does not exist; .*; did you mean .*photos\?"),
            (lambda t: "digit", r"digit does not exist; .*; did you mean the data set 'digits'\?"),
            (lambda t: t / "film.mp4", r"film.mp4 is of an unsupported kind \(.mp4\); expected a folder, a .zip"),
            (lambda t: t / "x.tar", r"unsupported kind \(.tar\).*unpack it, or make it a .zip"),
            (lambda t: t / "noext", r"unsupported kind \(no suffix\)"),
            (lambda t: t / "bare", r"bare holds no images \(it is empty\); expected class folders"),
            (lambda t: t / "texts", r"texts holds no images \(it holds a.txt\)"),
            (lambda t: 7, r"images are a folder, .*, but 7 came"),
            (lambda t: [], r"but \[\] came"),
        ],
    )
    def test_one_clear_line(self, tmp_path, make, words):
        (tmp_path / "photos" / "cat").mkdir(parents=True)
        (tmp_path / "bare").mkdir()
        (tmp_path / "texts").mkdir()
        (tmp_path / "texts" / "a.txt").touch()
        for name in ("film.mp4", "x.tar", "noext"):
            (tmp_path / name).touch()
        with pytest.raises(InputError, match=words) as caught:
            open_images(make(tmp_path))
        assert "\n" not in str(caught.value)

    def test_settings_that_do_not_fit(self, photos):
        with pytest.raises(InputError, match="root belongs to a data set's name"):
            open_images(photos, root="/")
        with pytest.raises(InputError, match="split belongs to folders"):
            open_images(np.zeros((2, 8, 8)), split="train")
        with pytest.raises(InputError, match="class_depth counts directories from 1"):
            open_images(photos, class_depth=0)
        with pytest.raises(InputError, match="class_depth belongs to folders"):
            open_images(photos / "cat" / "0.png", class_depth=1)

    def test_files_that_are_no_images_are_told(self, photos, caplog):
        (photos / "cat" / "clip.mp4").touch()
        assert len(open_images(photos)) == 6
        assert "1 file(s) are no images by their suffix and are left out, such as cat/clip.mp4" in caplog.text


def test_file_names_of_any_kind_give_clean_keys(tmp_path):
    (tmp_path / "cat").mkdir()
    for name in (b"new\nline.png", b"caf\xc3\xa9.png", b"latin\xe9.png"):
        with open(os.path.join(os.fsencode(tmp_path), b"cat", name), "wb") as file:
            Image.new("L", (4, 4)).save(file, "PNG")
    source = open_images(tmp_path)
    assert set(source.keys) == {"cat/café.png", "cat/new\\nline.png", "cat/latin\\xe9.png"}
    assert all(key.isprintable() and key.encode() for key in source.keys)
    assert all(source.read(i).size == (4, 4) for i in range(3))


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the shared data (NCAPPS_DATA)")
@pytest.mark.parametrize(
    ("name", "images", "classes", "first"),
    [
        ("trashnet", 887, 6, "cardboard"),
        ("dtd10", 500, 10, "banded"),
        ("omniglot_small1", 2720, 136, "Balinese/character01"),
        ("mnist_test", 10000, 10, "0"),
        ("tinyimagenet_val", 8793, 180, "n01443537"),
    ],
)
def test_real_zips(name, images, classes, first):
    path = DATA / f"{name}.zip"
    if not path.exists():
        pytest.skip(f"needs {path.name}")
    source = open_images(path)
    assert (len(source), len(source.classes), source.classes[0]) == (images, classes, first)
    assert all(min(source.read(i, 32).size) >= 28 for i in range(0, len(source), images // 20))
