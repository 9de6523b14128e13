"""The standard index lists: read from a folder or a zip, checked against the layout."""

import zipfile

import pytest

from ncapps.benchmarks.fscil_lists import LAYOUTS, Layout, find_layout, read_lines, read_lists
from ncapps.errors import InputError

TINY = Layout(base=2, steps=2, ways=1, shots=2, folder="tiny")
LINES = {"session_1.txt": "4\n1\n\n", "session_2.txt": "7\n3", "session_3.txt": "0\n9\n"}


def write(folder, lines=LINES):
    (folder / "tiny").mkdir(parents=True)
    for name, text in lines.items():
        (folder / "tiny" / name).write_text(text)
    return folder


def test_a_folder_and_a_zip_are_read_alike(tmp_path):
    folder = write(tmp_path / "data" / "index_list")
    with zipfile.ZipFile(tmp_path / "lists.zip", "w") as archive:
        for name, text in LINES.items():
            archive.writestr(f"index_list/tiny/{name}", text)
    expected = [["4", "1"], ["7", "3"], ["0", "9"]]
    assert read_lists(folder, TINY) == expected
    assert read_lists(folder.parent, TINY) == expected
    assert read_lists(tmp_path / "lists.zip", TINY) == expected


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"session_2.txt": "7\n3\n8"}, "session_2.txt lists 3 images, but 1 classes of 2 images make 2"),
        ({"session_3.txt": "0\n4"}, "name the image 4 twice"),
        ({"session_1.txt": "\n"}, "lists no images"),
    ],
)
def test_lists_of_another_split_are_refused(tmp_path, changes, text):
    with pytest.raises(InputError, match=text):
        read_lists(write(tmp_path / "lists", LINES | changes), TINY)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"holds no tiny/session_1\.txt"):
        read_lists(tmp_path, TINY)
    with pytest.raises(InputError, match="cannot be opened"):
        read_lists(tmp_path / "lists.zip", TINY)
    with pytest.raises(InputError, match="did you mean 'cub200'"):
        find_layout("cub20")


def test_the_layouts_are_those_of_the_papers():
    assert [LAYOUTS[name].classes for name in ("cifar100", "mini_imagenet", "cub200", "shared")] == [100, 100, 200, 100]


def test_the_standard_lists_fit_their_layouts(data_root):
    where = data_root / "data" / "fscil_index_lists.zip"
    cifar = read_lists(where, LAYOUTS["cifar100"])
    assert len(cifar[0]) == 30_000
    assert cifar[1][:5] == ["29774", "33344", "4815", "6772", "48317"]
    assert max(int(row) for session in cifar for row in session) < 50_000
    for name, folders in (("mini_imagenet", (60, 5)), ("cub200", (100, 10))):
        sessions = [{line.split("/")[-2] for line in lines} for lines in read_lists(where, LAYOUTS[name])]
        assert [len(session) for session in sessions] == [folders[0], *[folders[1]] * LAYOUTS[name].steps]
        assert len(set().union(*sessions)) == LAYOUTS[name].classes
    listed = set(read_lines(where, "mini_imagenet/train.txt"))
    assert all(line in listed for lines in read_lists(where, LAYOUTS["mini_imagenet"]) for line in lines)
