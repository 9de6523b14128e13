import pickle

import pytest
from PIL import Image

from ncapps.errors import InputError
from ncapps.features.imglist import open_imglist, parse_imglist


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images_classic"
    for place, name in enumerate(("cat/1.png", "cat/a b.png", "dog/2.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (place, 0, 0)).save(folder / name)
    return folder


def listed(tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_images_come_in_the_lists_order_with_their_labels(tmp_path, images):
    source = open_imglist(listed(tmp_path, "dog/2.png 7\ncat/1.png -1\n"), images)
    assert source.keys == ("dog/2.png", "cat/1.png")
    assert source.labels == (7, -1)
    assert [source.read(i).getpixel((0, 0))[0] for i in range(2)] == [2, 0]
    assert source.name == "list.txt"


def test_it_survives_pickling_and_its_fingerprint_tells_the_labels(tmp_path, images):
    source = open_imglist(listed(tmp_path, "dog/2.png 7\n"), images)
    again = pickle.loads(pickle.dumps(source))
    assert again.fingerprint() == source.fingerprint()
    assert open_imglist(listed(tmp_path, "dog/2.png 8\n"), images).fingerprint() != source.fingerprint()


def test_a_missing_image_is_left_to_the_ledger(tmp_path, images):
    source = open_imglist(listed(tmp_path, "cat/9.png 0\ncat/1.png 0\n"), images)
    assert source.stamp(0) == "missing"
    assert source.read(1).size == (4, 4)


@pytest.mark.parametrize(
    ("line", "path", "label"),
    [
        ("cifar10/test/airplane/0298.png 0", "cifar10/test/airplane/0298.png", 0),
        ("tin/val/images/val_2.JPEG -1", "tin/val/images/val_2.JPEG", -1),
        ('imagenet/a.JPEG {"group_label": 5 ,"class_label": 17 }', "imagenet/a.JPEG", 17),
        ("fractals/a mandel brot.png", "fractals/a mandel brot.png", None),
        ("no_suffix 3", "no_suffix", 3),
        ("  cat/1.png   4  \r", "cat/1.png", 4),
    ],
)
def test_every_kind_of_line(line, path, label):
    assert parse_imglist(f"{line}\n\n", "list") == [(path, label)]


def test_a_list_without_labels_gives_a_source_without_labels(tmp_path, images):
    source = open_imglist(listed(tmp_path, "cat/a b.png\ncat/1.png\n"), images)
    assert source.labels is None
    assert source.keys == ("cat/a b.png", "cat/1.png")
    assert source.read(0).getpixel((0, 0))[0] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n \n", "lists no images; expected lines such as"),
        ("cat/1.png 0\n/etc/cat.png 1\n", "line 2: /etc/cat.png is absolute"),
        ("cat/1.png cat\n", "line 1: the label 'cat' is no integer"),
        ("cat/1.png 1.5\n", "line 1: the label '1.5' is no integer"),
        ("cat/1.png True\n", "line 1: the label 'True' is no integer"),
        ('cat/1.png {"group_label": 1}\n', "is no integer"),
        ("cat/1.png __import__('os')\n", "is no integer"),
        ("cat/1.png 0\n\ncat/2.png\n", "line 3 has no label, but the first line has a"),
        ("cat/1.png\ncat/2.png 0\n", "line 2 has a label, but the first line has none"),
        ("cat/\0.bin 0\n", "line 1 holds a zero byte"),
    ],
)
def test_bad_lists_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_imglist(text, "list.txt")


def test_missing_lists_and_images_are_named(tmp_path, images):
    with pytest.raises(InputError, match=r"the image list .*none.txt cannot be opened"):
        open_imglist(tmp_path / "none.txt", images)
    with pytest.raises(InputError, match=r"lists cat/9.png, but neither it nor the next lines' files are in"):
        open_imglist(listed(tmp_path, "cat/9.png 0\n"), images)
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="is not text in UTF-8"):
        open_imglist(tmp_path / "list.txt", images)
    with pytest.raises(InputError, match="names the image cat/1.png twice"):
        open_imglist(listed(tmp_path, "cat/1.png 0\ncat/1.png 0\n"), images)
