"""From layouts to images: which image plays which part, for class folders and for each standard data set."""

import dataclasses
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ncapps.benchmarks import fscil_data, fscil_lists
from ncapps.benchmarks.fscil_data import arrange, open_fscil
from ncapps.benchmarks.fscil_lists import LAYOUTS, Layout
from ncapps.benchmarks.fscil_settings import FSCILSettings
from ncapps.errors import InputError
from ncapps.features.array_source import ArraySource

TINY = Layout(base=2, steps=2, ways=1, shots=2)


@pytest.fixture
def tiny(monkeypatch):
    """Make every layout one of two base classes and two steps of one class from two images."""
    for name, layout in LAYOUTS.items():
        monkeypatch.setitem(fscil_lists.LAYOUTS, name, dataclasses.replace(TINY, folder=layout.folder))


def png():
    buffer = BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    return buffer.getvalue()


def write_zip(path, split, classes, images):
    with zipfile.ZipFile(path, "w") as archive:
        for name in classes:
            for number in images:
                archive.writestr(f"{split}/{name}/{number}.png", png())


def shared(tmp_path):
    write_zip(tmp_path / "a.zip", "train", "abcd", range(3))
    write_zip(tmp_path / "b.zip", "train", "ab", range(3, 5))
    write_zip(tmp_path / "test.zip", "test", "abcd", range(2))
    return FSCILSettings(data=str(tmp_path), train_files=["a.zip", "b.zip"], test_files=["test.zip"])


def test_class_folders_make_base_pool_and_shots_by_name(tiny, tmp_path):
    sources = open_fscil(shared(tmp_path))
    assert sources.sessions == (("a", "b"), ("c",), ("d",))
    assert len(sources.base) == 2 * 5
    assert sources.pool.labels == ("c",) * 3 + ("d",) * 3
    assert {name: rows.tolist() for name, rows in sources.canonical.items()} == {"c": [0, 1], "d": [3, 4]}
    assert len(sources.test) == 8
    assert set(sources.base.classes).isdisjoint(sources.pool.classes)


def test_another_number_of_classes_is_told(tmp_path):
    with pytest.raises(InputError, match="has 4 classes, but the layout has 100"):
        open_fscil(shared(tmp_path))


def labelled(labels):
    return ArraySource(np.zeros((len(labels), 4, 4, 3), dtype=np.uint8), list(labels))


def test_classes_come_in_the_order_of_the_lists():
    sources = arrange(labelled("ddccaabb"), labelled("abcd"), [[0, 5, 4], [6, 7], [3, 2]], TINY)
    assert sources.sessions == (("d", "a"), ("b",), ("c",))
    assert sources.pool.labels == ("c", "c", "b", "b")
    assert {name: rows.tolist() for name, rows in sources.canonical.items()} == {"b": [2, 3], "c": [0, 1]}


@pytest.mark.parametrize(
    ("listed", "text"),
    [
        ([[0, 4], [6, 3], [2, 7]], r"but have \(2, 2, 2\)"),
        ([[0, 4], [1, 1], [2, 3]], "comes in two sessions"),
        ([[0, 4], [6], [2, 3]], "class 'b' has 1 listed shots"),
    ],
)
def test_lists_that_do_not_fit_the_images_are_refused(listed, text):
    with pytest.raises(InputError, match=text):
        arrange(labelled("ddccaabb"), labelled("abcd"), listed, TINY)


def write_lists(folder, sessions):
    folder.mkdir(parents=True)
    for number, lines in enumerate(sessions, 1):
        (folder / f"session_{number}.txt").write_text("\n".join(lines))


def test_cifar100_counts_in_the_training_file_s_order(tiny, tmp_path, monkeypatch):
    write_lists(tmp_path / "lists" / "cifar100", [["1", "0", "4"], ["3", "6"], ["5", "2"]])
    opened = {"train": labelled("abdcbdc"), "test": labelled("abcd")}
    monkeypatch.setattr(fscil_data, "open_images", lambda name, split, root: opened[split])
    sources = open_fscil(FSCILSettings(layout="cifar100", data=str(tmp_path), lists="lists"))
    assert sources.sessions == (("b", "a"), ("c",), ("d",))
    assert sources.pool.labels == ("d", "c", "d", "c")
    assert sources.canonical["d"].tolist() == [0, 2]


@pytest.mark.parametrize("flat", [False, True])
def test_mini_imagenet_is_found_in_either_folder(tiny, tmp_path, flat):
    lines = {
        s: [f"MINI-ImageNet/{s}/n{c}/n{c}{i}{s}.jpg" for c in range(4) for i in range(3)] for s in ("train", "test")
    }
    for line in lines["train"] + lines["test"]:
        path = tmp_path / "miniimagenet" / "images" / line.split("/")[-1] if flat else tmp_path / line
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png())
    write_lists(tmp_path / "lists" / "mini_imagenet", [lines["train"][:6], lines["train"][7:9], lines["train"][9:11]])
    for split, listed in lines.items():
        (tmp_path / "lists" / "mini_imagenet" / f"{split}.txt").write_text("\n".join(listed))
    sources = open_fscil(FSCILSettings(layout="mini_imagenet", data=str(tmp_path), lists="lists"))
    assert sources.sessions == (("n0", "n1"), ("n2",), ("n3",))
    assert sources.canonical["n2"].tolist() == [1, 2]
    assert len(sources.test) == 12
    assert sources.base.read(0).size == (4, 4)


def test_cub200_takes_the_official_split(tiny, tmp_path):
    root = tmp_path / "CUB_200_2011"
    names = [f"{c:03d}.bird/{i}.jpg" for c in range(1, 5) for i in range(3)]
    for name in names:
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png())
    (root / "images.txt").write_text("".join(f"{n} {name}\n" for n, name in enumerate(names, 1)))
    (root / "train_test_split.txt").write_text("".join(f"{n} {int(n % 3 != 0)}\n" for n in range(1, 13)))
    train = [f"CUB_200_2011/images/{name}" for n, name in enumerate(names, 1) if n % 3]
    write_lists(tmp_path / "lists" / "cub200", [train[:4], train[4:6], train[6:]])
    settings = FSCILSettings(layout="cub200", data=str(tmp_path), lists="lists")
    sources = open_fscil(settings)
    assert sources.sessions == (("001.bird", "002.bird"), ("003.bird",), ("004.bird",))
    assert len(sources.test) == 4
    assert all(key.endswith("2.jpg") for key in sources.test.keys)
    (tmp_path / "lists" / "cub200" / "session_2.txt").write_text(f"CUB_200_2011/images/{names[8]}\n{train[5]}")
    with pytest.raises(InputError, match="no training image"):
        open_fscil(settings)


def test_the_shared_split_is_as_described(data_root):
    sources = open_fscil(FSCILSettings(data=str(data_root / "data")))
    assert (len(sources.base), len(sources.pool), len(sources.test)) == (21_000, 4_000, 10_000)
    assert sources.sessions[1] == ("plain", "plate", "poppy", "porcupine", "possum")
    assert all(len(rows) == 5 for rows in sources.canonical.values())
    assert len(sources.canonical) == 40
