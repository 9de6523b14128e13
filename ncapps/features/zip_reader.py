"""Random access into a zip: one seek an image, safe over threads, forks and pickling."""

from __future__ import annotations

import io
import os
import struct
import threading
import zipfile
import zlib
from typing import Any, NamedTuple

from ncapps.features.decode import UnreadableImage

_LOCAL_HEADER = 30
_MAX_SIZE = 2**31


class Entry(NamedTuple):
    """Where one file lies in the zip, and what it must unpack to."""

    offset: int
    packed: int
    size: int
    crc: int
    method: int
    encrypted: bool


class ZipReader:
    """Reads the entries of one zip and verifies their checksums.

    The file is opened at the first read, and once in every process: forked workers would share its position.

    Parameters
    ----------
    path : str
        The zip.
    """

    def __init__(self, path: str):
        self.path = path
        self._locks: dict[int, threading.Lock] = {}
        self._files: dict[int, io.BufferedReader] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return ZipReader, (self.path,)

    def __del__(self) -> None:
        for file in getattr(self, "_files", {}).values():
            file.close()

    def read(self, entry: Entry) -> bytes:
        """Return one file as it was before it was zipped.

        Raises
        ------
        UnreadableImage
            If the entry is encrypted, damaged, or packed by a method other than stored and deflated.
        """
        if entry.encrypted:
            raise UnreadableImage("the zip entry is encrypted; unpack the zip with its password")
        if max(entry.size, entry.packed) > _MAX_SIZE:
            raise UnreadableImage(
                f"the zip entry unpacks to {entry.size:,} bytes, more than the limit of {_MAX_SIZE:,}"
            )
        try:
            data = _unpack(self._packed(entry), entry)
        except OSError as error:
            raise UnreadableImage(f"the zip cannot be read: {error.strerror or error}") from None
        if len(data) != entry.size or zlib.crc32(data) != entry.crc:
            raise UnreadableImage("damaged in the zip: its checksum does not match")
        return data

    def _packed(self, entry: Entry) -> bytes:
        process = os.getpid()
        with self._locks.setdefault(process, threading.Lock()):
            file = self._files.get(process)
            if file is None:
                file = self._files[process] = open(self.path, "rb")
            # Name and extra field may be of other lengths here than in the zip's directory.
            file.seek(entry.offset)
            head = file.read(_LOCAL_HEADER)
            if len(head) < _LOCAL_HEADER or head[:4] != b"PK\3\4":
                raise UnreadableImage("damaged in the zip: there is no entry where the zip's directory says")
            name, extra = struct.unpack_from("<HH", head, 26)
            file.seek(name + extra, os.SEEK_CUR)
            return file.read(entry.packed)


def _unpack(packed: bytes, entry: Entry) -> bytes:
    if entry.method == zipfile.ZIP_STORED:
        return packed
    if entry.method != zipfile.ZIP_DEFLATED:
        raise UnreadableImage(f"the zip entry is packed by method {entry.method}; pack it as deflated or stored")
    try:
        # The stated size bounds the memory, whatever the bytes would unpack to.
        return zlib.decompressobj(-15).decompress(packed, entry.size + 1)
    except zlib.error as error:
        raise UnreadableImage(f"damaged in the zip: {error}") from None
