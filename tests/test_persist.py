"""Files are whole or absent, say what they are, and a wrong one is told in one line."""

import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from ncapps import persist
from ncapps.errors import InputError

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([1, 2], np.int32)}


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_is_loaded(tmp_path):
    path = tmp_path / "new" / "folder" / "x.ncapps"
    persist.save(path, "thing", 2, ARRAYS, {"names": ["ü", "b"], "rate": 0.1})
    arrays, header = persist.load(path, "thing", 2)
    assert header == {"kind": "thing", "version": 2, "names": ["ü", "b"], "rate": 0.1}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    assert persist.read_header(path) == header
    assert persist.load(path, "thing", 3)[1]["version"] == 2


def test_views_and_empty_arrays_are_saved_as_they_look(tmp_path):
    matrix = np.arange(12.0).reshape(3, 4)
    given = {"transposed": matrix.T, "slice": matrix[:, 1::2], "empty": np.zeros((0, 4)), "scalar": np.array(3.0)}
    persist.save(tmp_path / "x", "thing", 1, given, {})
    for name, array in persist.load(tmp_path / "x", "thing", 1)[0].items():
        np.testing.assert_array_equal(array, given[name])


def test_equal_objects_make_equal_files(tmp_path):
    persist.save(tmp_path / "x", "thing", 1, ARRAYS, {"a": 1, "b": 2})
    persist.save(tmp_path / "y", "thing", 1, dict(reversed(ARRAYS.items())), {"b": 2, "a": 1})
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


@pytest.mark.parametrize("old", [None, "the old text"])
def test_a_writer_that_fails_midway_leaves_what_was_there(tmp_path, old):
    path = tmp_path / "x.txt"
    if old is not None:
        persist.write_text(path, old)

    def fail(temporary):
        temporary.write_text("half of the ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        persist.write_atomically(path, fail)
    assert contents(tmp_path) == ([] if old is None else ["x.txt"])
    assert old is None or path.read_text() == old


def test_a_header_that_is_no_json_leaves_no_file(tmp_path):
    with pytest.raises(TypeError):
        persist.save(tmp_path / "x", "thing", 1, ARRAYS, {"bad": object()})
    assert contents(tmp_path) == []


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.txt"
    persist.write_text(path, "old")
    code = (
        "import os, sys; from ncapps import persist\n"
        "persist.write_atomically(sys.argv[1], lambda t: (t.write_text('half'), os._exit(9)))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    assert path.read_text() == "old"


def test_readers_meet_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "x.txt"
    persist.write_text(path, "old")
    seen = []

    def write(temporary):
        temporary.write_text("new")
        seen.append(path.read_text())

    persist.write_atomically(path, write)
    assert (seen, path.read_text()) == (["old"], "new")
    assert contents(tmp_path) == ["x.txt"]


def test_text_is_utf8(tmp_path):
    persist.write_text(tmp_path / "x", "ü日")
    assert (tmp_path / "x").read_bytes() == "ü日".encode()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_the_umask_decides_who_may_read(tmp_path):
    before = os.umask(0o027)
    try:
        persist.write_text(tmp_path / "x", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InputError, match="is a folder; name the file to write"):
        persist.write_text(tmp_path, "text")
    (tmp_path / "file").write_text("a file, no folder")
    with pytest.raises(InputError, match=r"file/x can't be written \(.+\); is its folder right, and writable"):
        persist.write_text(tmp_path / "file" / "x", "text")
    with pytest.raises(InputError, match="can't be written"):
        persist.write_text(tmp_path / ("n" * 300), "text")
    assert contents(tmp_path) == ["file"]


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="does not exist; is the path right"):
            persist.load(path, "thing", 1)


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_a_truncated_file_is_named(tmp_path, kept):
    persist.save(tmp_path / "x", "thing", 1, ARRAYS, {})
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:kept])
    with pytest.raises(InputError, match=r"x is damaged.*in full\?") as caught:
        persist.load(tmp_path / "x", "thing", 1)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_something_else_is_named(tmp_path):
    (tmp_path / "x").write_bytes(b"PK\x03\x04 a zip, or any other bytes that are long enough to be read as a length")
    with pytest.raises(InputError, match="x is damaged or not a safetensors file"):
        persist.load(tmp_path / "x", "thing", 1)


def test_a_foreign_safetensors_file_is_named(tmp_path):
    for metadata in (None, {"format": "pt"}):
        save_file(ARRAYS, tmp_path / "x", metadata=metadata)
        with pytest.raises(InputError, match="is a safetensors file, but not one that ncapps wrote"):
            persist.load(tmp_path / "x", "thing", 1)


@pytest.mark.parametrize("header", ["{", "[]", "{}", json.dumps({"kind": "thing", "version": "1"}), "null"])
def test_a_damaged_header_is_named(tmp_path, header):
    save_file(ARRAYS, tmp_path / "x", metadata={"ncapps": header})
    with pytest.raises(InputError, match="has a damaged header"):
        persist.load(tmp_path / "x", "thing", 1)


def test_another_kind_and_a_newer_version_are_named(tmp_path):
    persist.save(tmp_path / "x", "detector", 3, ARRAYS, {})
    with pytest.raises(InputError, match="x holds a 'detector', but a 'class-statistics' was expected"):
        persist.load(tmp_path / "x", "class-statistics", 3)
    with pytest.raises(InputError, match="written in version 3 of the format, this ncapps reads up to 2; upgrade"):
        persist.load(tmp_path / "x", "detector", 2)
