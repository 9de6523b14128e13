"""From a layout to images: which are the base session's, which the shots are drawn from, which are tested on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ncapps.arrays import Label, sorted_names
from ncapps.benchmarks.composed_sources import JoinedSource
from ncapps.benchmarks.fscil_lists import Layout, find_layout, read_lines, read_lists
from ncapps.benchmarks.fscil_settings import FSCILSettings
from ncapps.errors import InputError
from ncapps.features import ImageSource, open_images
from ncapps.features.folder import FileSource


@dataclass(frozen=True, kw_only=True)
class FSCILSources:
    """The images of an FSCIL run, all labelled.

    Parameters
    ----------
    base : ImageSource
        Training images of the base classes.
    pool : ImageSource
        All training images of the new classes; a run draws its shots from them.
    test : ImageSource
        Test images of all classes.
    sessions : tuple of tuples of class names
        The base classes, then those of each step.
    canonical : mapping
        Positions in `pool` of each new class's standard shots.
    """

    base: ImageSource
    pool: ImageSource
    test: ImageSource
    sessions: tuple[tuple[Label, ...], ...]
    canonical: Mapping[Label, np.ndarray]


def open_fscil(settings: FSCILSettings) -> FSCILSources:
    """Open the images of a layout; none is decoded yet.

    Raises
    ------
    InputError
        If files or lists are missing, or do not hold what the layout says.
    """
    layout = find_layout(settings.layout)
    train, test, listed = _OPENERS[settings.layout](settings, layout)
    return arrange(train, test, listed, layout)


def arrange(
    train: ImageSource, test: ImageSource, listed: Sequence[Sequence[int] | np.ndarray], layout: Layout
) -> FSCILSources:
    """Sort images into sessions.

    Parameters
    ----------
    train, test : ImageSource
        Labelled images of all classes.
    listed : sequence of sequences of int
        For each session the positions of its training images; classes come in the order in which they are listed.
    layout : Layout
        What must come of it.

    Raises
    ------
    InputError
        If a session has not as many classes or shots as the layout says, or a class comes twice.
    """
    labels = np.asarray(train.labels)
    sessions = tuple(tuple(dict.fromkeys(labels[list(rows)].tolist())) for rows in listed)
    wanted = (layout.base, *[layout.ways] * layout.steps)
    if tuple(map(len, sessions)) != wanted:
        raise InputError(f"the sessions should have {wanted} classes, but have {tuple(map(len, sessions))}")
    new = [label for session in sessions[1:] for label in session]
    if len({*sessions[0], *new}) < layout.classes:
        raise InputError("a class comes in two sessions; are the lists of another order of the images?")
    pool = np.flatnonzero(np.isin(labels, new))
    shots = {label: [row for rows in listed[1:] for row in rows if labels[row] == label] for label in new}
    if uneven := sorted(label for label, rows in shots.items() if len(rows) != layout.shots):
        raise InputError(f"class {uneven[0]!r} has {len(shots[uneven[0]])} listed shots, but {layout.shots} are needed")
    tested = np.isin(np.asarray(test.labels), [*sessions[0], *new])
    return FSCILSources(
        base=train.select(list(listed[0])),
        pool=train.select(pool),
        test=test.select(tested),
        sessions=sessions,
        canonical={label: np.searchsorted(pool, np.sort(rows)) for label, rows in shots.items()},
    )


_Opened = tuple[ImageSource, ImageSource, list[np.ndarray]]


def _shared(settings: FSCILSettings, layout: Layout) -> _Opened:
    """Classes by name; the standard shots are the first of each class by file name."""
    train = JoinedSource([open_images(Path(settings.data) / name) for name in settings.train_files])
    test = JoinedSource([open_images(Path(settings.data) / name) for name in settings.test_files])
    names, labels = sorted_names(train.labels), np.asarray(train.labels)
    if len(names) != layout.classes:
        raise InputError(f"{train.name} has {len(names)} classes, but the layout has {layout.classes}")
    listed = [np.flatnonzero(np.isin(labels, names[: layout.base]))]
    for start in range(layout.base, layout.classes, layout.ways):
        step = [np.flatnonzero(labels == name)[: layout.shots] for name in names[start : start + layout.ways]]
        listed.append(np.concatenate(step))
    return train, test, listed


def _cifar100(settings: FSCILSettings, layout: Layout) -> _Opened:
    """Lines are positions in the official training file's order, which torchvision keeps."""
    train, test = (open_images("cifar100", split=split, root=settings.data) for split in ("train", "test"))
    listed = [np.asarray(lines, dtype=int) for lines in read_lists(_lists(settings), layout)]
    return train, test, listed


def _mini_imagenet(settings: FSCILSettings, layout: Layout) -> _Opened:
    """Lines are `MINI-ImageNet/train/WNID/FILE`; the files lie so, or all in `miniimagenet/images`."""
    train, test = (
        _files(
            settings.data, read_lines(_lists(settings), f"{layout.folder}/{split}.txt"), split, "miniimagenet/images"
        )
        for split in ("train", "test")
    )
    return train, test, [_positions(train, lines) for lines in read_lists(_lists(settings), layout)]


def _cub200(settings: FSCILSettings, layout: Layout) -> _Opened:
    """Lines are `CUB_200_2011/images/CLASS/FILE`; the split is that of `train_test_split.txt`."""
    root = Path(settings.data) / "CUB_200_2011"
    paths = dict(line.split() for line in read_lines(root, "images.txt"))
    is_train = dict(line.split() for line in read_lines(root, "train_test_split.txt"))
    train, test = (
        _files(settings.data, [f"CUB_200_2011/images/{paths[n]}" for n in paths if is_train[n] == flag], split)
        for split, flag in (("train", "1"), ("test", "0"))
    )
    return train, test, [_positions(train, lines) for lines in read_lists(_lists(settings), layout)]


_OPENERS: dict[str, Callable[[FSCILSettings, Layout], _Opened]] = {
    "shared": _shared,
    "cifar100": _cifar100,
    "mini_imagenet": _mini_imagenet,
    "cub200": _cub200,
}


def _lists(settings: FSCILSettings) -> Path:
    below = Path(settings.data) / settings.lists
    return below if below.exists() else Path(settings.lists)


def _files(data: str, lines: Sequence[str], split: str, flat: str = "") -> FileSource:
    """Return the listed files; their class is the folder that the list names."""
    paths = [os.path.join(data, line) for line in lines]
    if flat and not os.path.exists(paths[0]):
        paths = [os.path.join(data, flat, os.path.basename(line)) for line in lines]
    if not os.path.exists(paths[0]):
        raise InputError(f"{lines[0]} is not in {data}; is data the folder that the data set was unpacked in?")
    return FileSource(split, paths, lines, [line.split("/")[-2] for line in lines])


def _positions(source: ImageSource, lines: Sequence[str]) -> np.ndarray:
    place = {key: position for position, key in enumerate(source.keys)}
    missing = [line for line in lines if line not in place]
    if missing:
        raise InputError(f"{missing[0]} is listed for a session, but is no training image of the data set")
    return np.asarray([place[line] for line in lines])
