"""A zip of class folders, read in place: nothing is ever unpacked to disk."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ncapps.arrays import Label
from ncapps.errors import InputError
from ncapps.features.decode import MAX_PIXELS, decode
from ncapps.features.layout import Parts, find_classes, is_image_name, is_junk, no_images, note_left_out
from ncapps.features.source import ImageSource, as_key
from ncapps.features.zip_reader import Entry, ZipReader


class ZipSource(ImageSource):
    """The images of a zip; every process opens its own handle at the first read.

    Parameters
    ----------
    path : Path
        The zip.
    keys : sequence of str
        One unique key an image.
    entries : sequence of Entry
        Where each image lies in the zip.
    labels : sequence of str or of int, optional
        One class name an image.
    max_pixels : int
        The most pixels that are decoded.
    """

    def __init__(
        self,
        path: Path,
        keys: Sequence[str],
        entries: Sequence[Entry],
        labels: Sequence[Label] | None = None,
        *,
        max_pixels: int = MAX_PIXELS,
    ):
        self.name = path.name
        self.keys, self.entries = tuple(keys), tuple(entries)
        self.labels = None if labels is None else tuple(labels)
        self.max_pixels = max_pixels
        self.reader = ZipReader(str(path))

    def read(self, index: int, hint_size: int | None = None) -> Image.Image:
        """Return one image as upright 8-bit RGB."""
        return decode(self.reader.read(self.entries[index]), hint_size, max_pixels=self.max_pixels)

    def stamp(self, index: int) -> str:
        """Return the file's size and CRC-32, which stay the same when the zip is copied or packed anew."""
        entry = self.entries[index]
        return f"{entry.size}:{entry.crc:08x}"


def open_zip(path: Path, split: str | None = None, depth: int | None = None, max_pixels: int = MAX_PIXELS) -> ZipSource:
    """Return the images of a zip, sorted by path; see `layout.find_classes` for what becomes a class.

    Raises
    ------
    InputError
        If it is damaged, holds no images, or an entry climbs out of it.
    """
    files, directories = _contents(path)
    images = sorted(parts for parts in files if is_image_name(parts[-1]))
    others = ["/".join(parts) for parts in files if not is_image_name(parts[-1])]
    if not images:
        raise no_images(str(path), others)
    note_left_out(str(path), others)
    layout = find_classes(images, directories, str(path), split, depth)
    chosen = [images[i] for i in layout.chosen]
    keys = [as_key("/".join(parts)) for parts in chosen]
    return ZipSource(path, keys, [files[parts] for parts in chosen], layout.labels, max_pixels=max_pixels)


def _contents(path: Path) -> tuple[dict[Parts, Entry], set[Parts]]:
    """Return the zip's files and directories by the parts of their paths, without hidden ones and litter."""
    files: dict[Parts, Entry] = {}
    directories: set[Parts] = set()
    for info in _directory(path):
        parts = _safe_parts(info.filename, path)
        if not parts or any(is_junk(part) for part in parts):
            continue
        is_directory = info.filename.endswith(("/", "\\"))
        directories.update(parts[:end] for end in range(1, len(parts) + is_directory))
        if is_directory:
            continue
        if parts in files:
            raise InputError(f"{path} holds {'/'.join(parts)} twice; pack it anew, each image once")
        encrypted = bool(info.flag_bits & 1)
        files[parts] = Entry(
            info.header_offset, info.compress_size, info.file_size, info.CRC, info.compress_type, encrypted
        )
    return files, directories


def _directory(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror or error}") from None
    except (zipfile.BadZipFile, EOFError, ValueError, struct.error, NotImplementedError) as error:
        raise InputError(f"{path} is damaged or not a zip ({error}); was it downloaded in full?") from None


def _safe_parts(name: str, path: Path) -> Parts:
    # Old Windows tools wrote backslashes, so they separate here as well as there.
    plain = name.replace("\\", "/")
    parts = tuple(part for part in plain.split("/") if part not in ("", "."))
    if plain.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", plain):
        raise InputError(
            f"{path} is refused: its entry {name!r} climbs out of the zip; "
            "such a zip is broken or hostile, pack the folder anew"
        )
    return parts
