"""One entry of a zip at a time: every byte is checked, and each way to be wrong has its own words."""

from __future__ import annotations

import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from ncapps.features.images import UnreadableImage
from ncapps.features.zip_reader import Entry, ZipReader

CONTENT = {f"{index}.bin": bytes([index]) * (100 + 37 * index) for index in range(40)}


def entries(path):
    with zipfile.ZipFile(path) as archive:
        return {
            info.filename: Entry(
                offset=info.header_offset,
                packed=info.compress_size,
                size=info.file_size,
                crc=info.CRC,
                method=info.compress_type,
                encrypted=False,
            )
            for info in archive.infolist()
        }


@pytest.fixture(params=[zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def packed(request, tmp_path):
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w", request.param) as archive:
        for name, data in CONTENT.items():
            archive.writestr(name, data)
    return path


def test_every_entry_is_what_was_packed(packed):
    reader = ZipReader(str(packed))
    found = entries(packed)
    assert {name: reader.read(found[name]) for name in reversed(CONTENT)} == CONTENT


def test_threads_do_not_disturb_each_other(packed):
    reader, found = ZipReader(str(packed)), entries(packed)
    with ThreadPoolExecutor(4) as pool:
        read = pool.map(lambda name: (name, reader.read(found[name])), [*CONTENT] * 10)
        assert all(data == CONTENT[name] for name, data in read)


def test_a_pickled_reader_opens_the_file_anew(packed):
    reader, found = ZipReader(str(packed)), entries(packed)
    reader.read(found["3.bin"])
    twin = pickle.loads(pickle.dumps(reader))
    del reader
    assert twin.read(found["5.bin"]) == CONTENT["5.bin"]


def test_a_changed_byte_is_noticed(packed):
    found = entries(packed)["7.bin"]
    data = bytearray(packed.read_bytes())
    start = found.offset + 30 + len("7.bin")
    data[start + found.packed // 2] ^= 0xFF
    packed.write_bytes(data)
    with pytest.raises(UnreadableImage, match="damaged in the zip: "):
        ZipReader(str(packed)).read(found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encrypted": True}, "the zip entry is encrypted; unpack the zip with its password"),
        ({"size": 2**31 + 1}, "unpacks to 2,147,483,649 bytes, more than the limit of 2,147,483,648"),
        ({"packed": 2**31 + 1}, "more than the limit"),
        ({"method": zipfile.ZIP_LZMA}, "is packed by method 14; pack it as deflated or stored"),
        ({"offset": 3}, "there is no entry where the zip's directory says"),
        ({"offset": 10**9}, "there is no entry where the zip's directory says"),
        ({"crc": 1}, "its checksum does not match"),
        ({"size": 50}, "its checksum does not match"),
    ],
)
def test_what_is_wrong_is_named(packed, change, words):
    entry = entries(packed)["9.bin"]._replace(**change)
    with pytest.raises(UnreadableImage, match=words):
        ZipReader(str(packed)).read(entry)


def test_a_zip_that_is_gone(packed):
    found = entries(packed)["0.bin"]
    packed.unlink()
    with pytest.raises(UnreadableImage, match="the zip cannot be read: No such file"):
        ZipReader(str(packed)).read(found)
