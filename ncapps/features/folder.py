"""Images as files on disk: a folder of class folders, or any list of paths."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from ncapps.arrays import Label
from ncapps.errors import InputError
from ncapps.features.decode import MAX_PIXELS, UnreadableImage, decode
from ncapps.features.layout import Parts, find_classes, is_image_name, is_junk, no_images, note_left_out
from ncapps.features.source import ImageSource, as_key


class FileSource(ImageSource):
    """Image files named one by one.

    Parameters
    ----------
    name : str
        A short name for people.
    paths : sequence of str
        Where each file lies.
    keys : sequence of str
        One unique key a file.
    labels : sequence of str or of int, optional
        One class name a file.
    max_pixels : int
        The most pixels that are decoded.
    """

    def __init__(
        self,
        name: str,
        paths: Sequence[str],
        keys: Sequence[str],
        labels: Sequence[Label] | None = None,
        *,
        max_pixels: int = MAX_PIXELS,
    ):
        self.name = name
        self.paths, self.keys = tuple(paths), tuple(keys)
        self.labels = None if labels is None else tuple(labels)
        self.max_pixels = max_pixels
        if len(set(self.keys)) < len(self.keys):
            twice = next(key for key, count in Counter(self.keys).items() if count > 1)
            raise InputError(f"{name} names the image {twice} twice; list each image once")

    def read(self, index: int, hint_size: int | None = None) -> Image.Image:
        """Return one image as upright 8-bit RGB."""
        try:
            with open(self.paths[index], "rb") as file:
                data = file.read()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise  # the machine's fault: no image may end in the ledger for it
            raise UnreadableImage(f"the file cannot be opened: {error.strerror or error}") from None
        return decode(data, hint_size, max_pixels=self.max_pixels)

    def stamp(self, index: int) -> str:
        """Return the file's size and time of change in nanoseconds."""
        try:
            state = os.stat(self.paths[index])
        except OSError:
            return "missing"
        return f"{state.st_size}:{state.st_mtime_ns}"


def open_folder(
    folder: Path, split: str | None = None, depth: int | None = None, max_pixels: int = MAX_PIXELS
) -> FileSource:
    """Return the images of a folder, sorted by path; see `layout.find_classes` for what becomes a class."""
    try:
        files, directories = _walk(folder)
    except OSError as error:
        raise InputError(f"{error.filename or folder} cannot be listed: {error.strerror or error}") from None
    images = sorted(parts for parts in files if is_image_name(parts[-1]))
    others = ["/".join(parts) for parts in files if not is_image_name(parts[-1])]
    if not images:
        raise no_images(str(folder), others)
    note_left_out(str(folder), others)
    layout = find_classes(images, directories, str(folder), split, depth)
    chosen = [images[i] for i in layout.chosen]
    return FileSource(
        folder.resolve().name or str(folder),
        [os.path.join(folder, *parts) for parts in chosen],
        [as_key("/".join(parts)) for parts in chosen],
        layout.labels,
        max_pixels=max_pixels,
    )


def _walk(folder: Path) -> tuple[list[Parts], list[Parts]]:
    files: list[Parts] = []
    directories: list[Parts] = []
    for parts, is_directory in _entries(str(folder), (), frozenset()):
        (directories if is_directory else files).append(parts)
    return files, directories


def _entries(path: str, parts: Parts, above: frozenset[tuple[int, int]]) -> Iterator[tuple[Parts, bool]]:
    # Links are followed, as people link data sets together; the directories above guard against a link into itself.
    state = os.stat(path)
    here = (state.st_dev, state.st_ino)
    if here in above:
        return
    with os.scandir(path) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if is_junk(entry.name):
            continue
        below = (*parts, entry.name)
        if entry.is_dir():
            yield below, True
            yield from _entries(entry.path, below, above | {here})
        elif entry.is_file() or entry.is_symlink():
            yield below, False
