"""CSV and TSV lists: header or none, and a line number for whatever is wrong."""

from __future__ import annotations

import pytest
from PIL import Image

from ncapps.errors import InputError
from ncapps.features.images import UnreadableImage, open_images


@pytest.fixture
def write(tmp_path):
    (tmp_path / "cat").mkdir()
    for name in ("1", "2", "3, old"):
        Image.new("RGB", (4, 4)).save(tmp_path / "cat" / f"{name}.png")

    def to_file(text: str, name: str = "list.csv", encoding: str = "utf-8"):
        (tmp_path / name).write_text(text, encoding=encoding)
        return tmp_path / name

    return to_file


@pytest.mark.parametrize(
    "text",
    [
        "path,label\ncat/1.png,a\ncat/2.png,b\n",
        "Label,FileName\na,cat/1.png\nb,cat/2.png\n",
        "id,image,width,class\n7,cat/1.png,4,a\n8,cat/2.png,4,b\n",
        "cat/1.png,a\ncat/2.png,b\n",
        "cat/1.png,a\n\n  \ncat/2.png,b",
        '"cat/1.png","a"\r\n./cat/2.png, b\r\n',
        "cat\\1.png,a\ncat\\2.png,b\n",
    ],
)
def test_headers_and_their_absence(write, text):
    source = open_images(write(text))
    assert source.keys == ("cat/1.png", "cat/2.png")
    assert source.labels == ("a", "b")
    assert source.read(1).size == (4, 4)


def test_no_labels_excel_marks_quotes_and_order(write):
    assert open_images(write("path\ncat/2.png\ncat/1.png\n")).labels is None
    assert open_images(write("cat/2.png\ncat/1.png\n")).keys == ("cat/2.png", "cat/1.png")
    assert open_images(write("path,label\ncat/1.png,é\n", encoding="utf-8-sig")).labels == ("é",)
    assert open_images(write('"cat/3, old.png",a\n')).read(0).size == (4, 4)
    assert open_images(write("path\tlabel\ncat/3, old.png\ta\n", "list.tsv")).labels == ("a",)


def test_labels_stay_strings(write):
    assert open_images(write("path,label\ncat/1.png,7\n")).labels == ("7",)


def test_the_split_column(write):
    path = write("path,label,split\ncat/1.png,a,train\ncat/2.png,b,test\n")
    assert open_images(path, split="test").keys == ("cat/2.png",)
    assert len(open_images(path)) == 2
    with pytest.raises(InputError, match="lists no images with split 'val'"):
        open_images(path, split="val")
    with pytest.raises(InputError, match="has no column named split"):
        open_images(write("path\ncat/1.png\n"), split="test")


def test_a_missing_file_is_for_the_ledger(write):
    source = open_images(write("path\ncat/1.png\ncat/9.png\n"))
    with pytest.raises(UnreadableImage, match="cannot be opened"):
        source.read(1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\ncat/1.png,a\ncat/2.png\n", r"line 3 has 1 column\(s\), but line 1 has 2"),
        ("path,label\ncat/3, old.png,a\n", r"line 2 has 3 column\(s\).*put paths that hold the delimiter in quotes"),
        ("path,label\ncat/1.png,a\n\ncat/2.png,\n", "line 4 has no label"),
        ("path,label\n,a\n", "line 2 has no path"),
        ("path,label\ncat/1.png,a\ncat/./1.png,b\n", "names the image cat/1.png twice"),
        ("path,label\nx/1.png,a\n", "line 2: x/1.png does not exist in .*relative to the list's own folder"),
        ("name;kind\ncat/1.png;a\n", "line 1 is neither a header.*semicolons"),
        ("what,ever\ncat/1.png,a\n", "line 1 is neither a header with the columns path and label"),
        ('path,label\n"cat/1.png,a\n', "line 2: .*; is a quote left open?"),
        ("", "lists no images; expected lines such as cat/001.jpg,cat"),
        ("path,label\n", "lists no images below its header"),
    ],
)
def test_malformed_lists_name_the_line(write, text, words):
    with pytest.raises(InputError, match=words) as caught:
        open_images(write(text))
    assert "list.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_encodings_are_named(write):
    with pytest.raises(InputError, match="not text in UTF-8"):
        open_images(write("path,label\ncat/1.png,é\n", encoding="latin-1"))
