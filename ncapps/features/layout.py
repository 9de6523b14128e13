"""Which directory names are classes: wrapping folders and splits are seen through, empty classes are refused."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ncapps.errors import InputError

_logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .webp .gif .bmp .dib .tif .tiff .ppm .pgm .pbm .pnm .pfm .jp2 .j2k .jpx .avif "
    ".mpo .tga .ico .pcx .sgi .heic .heif".split()
)
_COMPANIONS = frozenset(
    " .txt .md .csv .tsv .json .jsonl .xml .yaml .yml .html .pdf .rst .mat .npy .py .log".split(" ")
)
_SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {alias: split for split, aliases in _SPLITS.items() for alias in aliases}
_JUNK = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "icon\r"})

Parts = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The images that were chosen: positions in the list of paths, and the class of each, or None for no labels."""

    chosen: tuple[int, ...]
    labels: tuple[str, ...] | None


def is_junk(name: str) -> bool:
    """Tell whether a file or directory is hidden, or litter that an operating system leaves behind."""
    return name.startswith(".") or name.casefold() in _JUNK


def is_image_name(name: str) -> bool:
    """Tell whether a file's suffix is that of an image."""
    dot = name.rfind(".")
    return dot > 0 and name[dot:].casefold() in IMAGE_SUFFIXES


def find_classes(
    paths: Sequence[Parts], directories: Iterable[Parts], where: str, split: str | None = None, depth: int | None = None
) -> Layout:
    """Name the class of each image by the directories that it lies in.

    Directories that hold everything ("trashnet/", "images/") and a level of nothing but splits ("train/", "test/") are
    seen through. Of what is left the first directory is the class; where all images lie equally deep below
    two or more (alphabet/character/drawing) the joined path is, without levels that are the same for all.

    Parameters
    ----------
    paths : sequence of tuple of str
        The parts of each image's path, the file name last.
    directories : iterable of tuple of str
        All directories, those without images too.
    where : str
        The folder or zip, for the errors' text.
    split : str, optional
        Keep the images below this split only ("train", "val", "test" under their usual names, or any directory).
    depth : int, optional
        Name classes by this many directories, instead of the rule above.

    Raises
    ------
    InputError
        If the split is missing, a class has no images, or images lie beside the class folders.
    """
    chosen, above = _strip(paths, where, split)
    below = [paths[i][above:-1] for i in chosen]
    if not any(below):
        return Layout(chosen=tuple(chosen), labels=None)
    if not all(below):
        stray = [paths[i] for i, parts in zip(chosen, below, strict=True) if not parts]
        raise InputError(
            f"{where} holds class folders, but {len(stray)} image(s) lie beside them, the first is "
            f"{'/'.join(stray[0])}; move each into the folder of its class"
        )
    # Where images lie at unequal depths, only the first directory can be a class of every image.
    depths = {len(parts) for parts in below}
    levels = depth or (depths.pop() if len(depths) == 1 else 1)
    _refuse_empty([paths[i] for i in chosen], directories, above, levels, where)
    return Layout(
        chosen=tuple(chosen), labels=_class_names([parts[:levels] for parts in below], fixed=depth is not None)
    )


def _strip(paths: Sequence[Parts], where: str, split: str | None) -> tuple[list[int], int]:
    """Return the positions of the chosen images, and how many of their leading directories are no classes."""
    chosen, level, wanted = list(range(len(paths))), 0, split
    while True:
        heads = {paths[i][level] for i in chosen if len(paths[i]) > level + 1}
        if wanted is not None and (match := {head for head in heads if _same_split(head, wanted)}):
            chosen = [i for i in chosen if len(paths[i]) > level + 1 and paths[i][level] in match]
            wanted = None
        elif (
            not heads
            or any(len(paths[i]) == level + 1 for i in chosen)
            or not _says_nothing(paths, chosen, level, where)
        ):
            break
        elif wanted is not None and len(heads) > 1:
            break
        level += 1
    if wanted is not None:
        seen = ", ".join(sorted(heads)[:8]) or "no folders"
        raise InputError(f"{where} has no split {wanted!r}, it has {seen}; leave split out to take all images")
    return chosen, level


def _says_nothing(paths: Sequence[Parts], chosen: list[int], level: int, where: str) -> bool:
    """Tell whether a level of directories is no class: all splits, or one directory wrapped around the others."""
    heads = {paths[i][level].casefold() for i in chosen}
    if all(head in _SPLIT_OF for head in heads):
        return True
    wrapper = heads <= {"images", "image", "imgs", "img", PurePath(where).stem.casefold()}
    return len(heads) == 1 and (wrapper or all(len(paths[i]) > level + 2 for i in chosen))


def _same_split(head: str, wanted: str) -> bool:
    head, wanted = head.casefold(), wanted.casefold()
    return head == wanted or (wanted in _SPLIT_OF and _SPLIT_OF.get(head) == _SPLIT_OF[wanted])


def _refuse_empty(paths: list[Parts], directories: Iterable[Parts], above: int, levels: int, where: str) -> None:
    filled = {path[:end] for path in paths for end in range(above + 1, above + levels + 1)}
    parents = {directory[:-1] for directory in filled}
    empty = sorted(directory for directory in directories if directory not in filled and directory[:-1] in parents)
    if empty:
        others = f" (nor do {len(empty) - 1} more)" if len(empty) > 1 else ""
        raise InputError(
            f"class {empty[0][-1]!r} has no images: {where}/{'/'.join(empty[0])} holds none{others}; "
            "put images into it or remove it"
        )


def _class_names(below: list[Parts], fixed: bool) -> tuple[str, ...]:
    if fixed:
        return tuple("/".join(parts) for parts in below)
    varying = [level for level, names in enumerate(zip(*below, strict=True)) if len(set(names)) > 1] or [0]
    return tuple("/".join(parts[level] for level in varying) for parts in below)


def no_images(where: str, others: Collection[str]) -> InputError:
    """Return the error for a place without a single image, naming what lies there instead."""
    seen = f"it holds {', '.join(sorted(others)[:3])}" if others else "it is empty"
    return InputError(f"{where} holds no images ({seen}); expected class folders with .jpg, .png, .webp ... files")


def note_left_out(where: str, others: Sequence[str]) -> None:
    """Log the files that are no images by their suffix and so are left out; lists and texts are expected."""
    odd = [name for name in others if PurePath(name).suffix.casefold() not in _COMPANIONS]
    if odd:
        _logger.warning(
            "%s: %d file(s) are no images by their suffix and are left out, such as %s", where, len(odd), odd[0]
        )
