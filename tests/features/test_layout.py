"""Directory names to classes: wrappers and splits are seen through, empty classes refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncapps.errors import InputError
from ncapps.features.layout import find_classes, is_image_name, is_junk


def classes(*paths: str, directories: tuple[str, ...] = (), **options) -> list[str] | None:
    parts = [tuple(path.split("/")) for path in paths]
    layout = find_classes(parts, [tuple(d.split("/")) for d in directories], "photos", **options)
    return None if layout.labels is None else list(layout.labels)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["cat/1.jpg", "dog/1.jpg"], ["cat", "dog"]),
        (["cat/1.jpg", "cat/2.jpg"], ["cat", "cat"]),
        (["wrap/cat/1.jpg", "wrap/dog/1.jpg"], ["cat", "dog"]),
        (["a/b/cat/1.jpg", "a/b/dog/1.jpg"], ["cat", "dog"]),
        (["test/airplane/1.webp", "test/ship/1.webp"], ["airplane", "ship"]),
        (["train/cat/1.jpg", "val/cat/2.jpg", "Test/dog/3.jpg"], ["cat", "cat", "dog"]),
        (["images/banded/1.jpg", "images/dotted/1.jpg"], ["banded", "dotted"]),
        (["images/train/cat/1.jpg", "images/test/dog/1.jpg"], ["cat", "dog"]),
        (["Greek/alpha/1.png", "Greek/beta/1.png", "Latin/a/1.png"], ["Greek/alpha", "Greek/beta", "Latin/a"]),
        (["train/n1/images/1.jpg", "train/n2/images/1.jpg"], ["n1", "n2"]),
        (["cat/1.jpg", "dog/puppies/1.jpg"], ["cat", "dog"]),
        (["cat/a/b/1.jpg", "dog/puppies/1.jpg"], ["cat", "dog"]),
        (["1.jpg", "2.jpg"], None),
        (["images/1.jpg", "images/2.jpg"], None),
        (["test/1.jpg"], None),
        (["photos/1.jpg"], None),
    ],
)
def test_what_becomes_a_class(paths, expected):
    assert classes(*paths) == expected


def test_a_split_selects_by_any_of_its_names():
    paths = [
        ("data", "training", "cat", "1.jpg"),
        ("data", "testing", "cat", "2.jpg"),
        ("data", "testing", "dog", "3.jpg"),
    ]
    layout = find_classes(paths, [], "photos", split="test")
    assert layout.chosen == (1, 2)
    assert layout.labels == ("cat", "dog")


def test_a_missing_split_is_named_with_those_that_are_there():
    with pytest.raises(InputError, match=r"photos has no split 'val', it has test, train; leave split out"):
        classes("train/cat/1.jpg", "test/cat/1.jpg", split="val")
    with pytest.raises(InputError, match="has no split 'test', it has cat, dog"):
        classes("cat/1.jpg", "dog/1.jpg", split="test")


def test_class_depth_overrules():
    paths = ("cat/2020/1.jpg", "cat/2021/2.jpg", "dog/2020/3.jpg")
    assert classes(*paths) == ["cat/2020", "cat/2021", "dog/2020"]
    assert classes(*paths, depth=1) == ["cat", "cat", "dog"]


def test_an_empty_class_is_named():
    with pytest.raises(InputError, match=r"class 'eel' has no images: photos/eel holds none; put images into it"):
        classes("cat/1.jpg", "dog/1.jpg", directories=("cat", "dog", "eel"))
    with pytest.raises(InputError, match=r"class 'eel' has no images: photos/train/eel holds none \(nor do 1 more\)"):
        classes("train/cat/1.jpg", directories=("train", "train/cat", "train/eel", "train/fox"))


def test_empty_directories_that_are_no_classes_do_not_matter():
    assert classes("images/cat/1.jpg", directories=("images", "labels", "images/cat")) == ["cat"]
    assert classes("cat/1.jpg", "dog/1.jpg", directories=("cat", "dog", "cat/raw")) == ["cat", "dog"]
    assert classes("train/cat/1.jpg", directories=("train", "train/cat", "test", "test/cat"), split="train") == ["cat"]


def test_images_beside_class_folders_are_refused():
    with pytest.raises(InputError, match=r"1 image\(s\) lie beside them, the first is cover.jpg; move each"):
        classes("cat/1.jpg", "cover.jpg", "dog/1.jpg")


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from("xyz")), min_size=2, max_size=20, unique=True))
def test_wrapping_changes_no_class(pairs):
    paths = [f"{name}/{number}.jpg" for name, number in pairs]
    assert classes(*paths) == classes(*(f"wrap/{path}" for path in paths)) == [name for name, _ in pairs]


def test_names():
    assert is_image_name("a.JPEG")
    assert is_image_name("a.b.webp")
    assert not is_image_name(".jpg")
    assert not is_image_name("notes.txt")
    assert is_junk(".DS_Store")
    assert is_junk("__MACOSX")
    assert is_junk("Thumbs.db")
    assert not is_junk("thumbs")
