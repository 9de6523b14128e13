"""Omniglot's drawings: the two small background sets as one, the official one-shot runs, and runs like them."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from ncapps.errors import InputError
from ncapps.features import open_images
from ncapps.features.array_source import ArraySource

_DRAWN = re.compile(r"\d+_(\d+)\.png")
# The part of the image that ink would fill if all drawings had one size, and how far they are brought to it.
_FILL, _EVENED, _FINER = 0.8, 0.7, 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawings:
    """Characters as different people drew them.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8, shape (drawings, side, side); ink is bright, paper 0.
    characters : numpy.ndarray
        "alphabet/character" of each drawing.
    drawers : numpy.ndarray
        Number of the person who drew each; within an alphabet a number is one person.
    """

    pixels: np.ndarray
    characters: np.ndarray
    drawers: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def alphabets(self) -> np.ndarray:
        """The alphabet of each drawing."""
        return np.asarray([name.split("/")[0] for name in self.characters])

    def split(self, held_out: Sequence[str]) -> tuple[Drawings, Drawings]:
        """Return the drawings of the other alphabets, and those of the alphabets held out.

        Raises
        ------
        InputError
            If an alphabet is not there.
        """
        unknown = sorted(set(held_out) - set(self.alphabets))
        if unknown:
            known = ", ".join(sorted(set(self.alphabets)))
            raise InputError(f"there is no alphabet {unknown[0]!r} to hold out; there are {known}")
        held = np.isin(self.alphabets, held_out)
        return self.select(~held), self.select(held)

    def select(self, chosen: np.ndarray) -> Drawings:
        """Return the drawings at these positions, or under a mask."""
        return Drawings(pixels=self.pixels[chosen], characters=self.characters[chosen], drawers=self.drawers[chosen])

    def source(self) -> ArraySource:
        """Return the drawings as training and extraction read them, labeled by character."""
        return ArraySource(self.pixels, self.characters.tolist(), name="omniglot")


@dataclass(frozen=True, kw_only=True, eq=False)
class OneShotRun:
    """One classification task: a drawing a character to know it by, and others to name.

    Parameters
    ----------
    training : numpy.ndarray
        Rows of the known drawings, one a character, shape (characters,).
    test : numpy.ndarray
        Rows of the drawings to name, shape (trials,).
    answers : numpy.ndarray
        The place in `training` that each test drawing belongs to, shape (trials,).
    """

    training: np.ndarray
    test: np.ndarray
    answers: np.ndarray


def read_drawings(archives: Sequence[str | Path], side: int) -> Drawings:
    """Read zips of alphabet/character/drawing as one set; a drawing that is in two of them counts once.

    Parameters
    ----------
    archives : sequence of path
        "omniglot_small1.zip" and the like.
    side : int
        Pixels that each drawing is shrunk to, smoothly.

    Raises
    ------
    InputError
        If a zip is missing or holds something else, or two zips hold different drawings under one name.
    """
    found: dict[tuple[str, int], tuple[str, np.ndarray]] = {}
    for archive in archives:
        source = open_images(archive, class_depth=2)
        for row, key in enumerate(source.keys):
            path = PurePosixPath(key)
            drawn = _DRAWN.fullmatch(path.name)
            if drawn is None or len(path.parts) < 3:
                raise InputError(f"{archive} holds {key}; alphabet/character/NUMBER_DRAWER.png was expected")
            place = "/".join(path.parts[-3:-1]), int(drawn[1])
            known = found.get(place)
            if known is None:
                found[place] = source.stamp(row), _ink(source.read(row), side)
            elif known[0] != source.stamp(row):
                raise InputError(f"{archive} holds another {key} than the archives before it; are they one edition?")
    places = sorted(found)
    return Drawings(
        pixels=np.stack([found[place][1] for place in places]),
        characters=np.asarray([character for character, _ in places]),
        drawers=np.asarray([drawer for _, drawer in places]),
    )


def read_runs(archive: str | Path, side: int) -> tuple[np.ndarray, tuple[OneShotRun, ...]]:
    """Read the official one-shot runs: the pixels of all their drawings, as in `Drawings`, and the runs over them.

    Raises
    ------
    InputError
        If the zip is missing, or a class_labels.txt names a drawing that is not there.
    """
    source = open_images(archive)
    rows = {key: row for row, key in enumerate(source.keys)}
    runs = []
    with zipfile.ZipFile(archive) as opened:
        lists = sorted(name for name in opened.namelist() if name.endswith("class_labels.txt"))
        for name in lists:
            lines = opened.read(name).decode().split("\n")
            runs.append(_run([tuple(line.split()) for line in lines if line.strip()], rows, name))
    if not runs:
        raise InputError(f"{archive} holds no class_labels.txt; are these the one-shot runs?")
    return np.stack([_ink(source.read(row), side) for row in range(len(source))]), tuple(runs)


def draw_runs(drawings: Drawings, count: int, *, ways: int = 20, seed: int = 0) -> tuple[OneShotRun, ...]:
    """Draw runs as the official ones are: characters of one alphabet, known from one person, named from another.

    Parameters
    ----------
    drawings : Drawings
        To draw from; the alphabets take turns, and one of fewer than `ways` characters gives all it has.
    count : int
        How many runs.
    ways : int
        Characters a run.
    seed : int
        Of all draws.
    """
    rng = np.random.default_rng(seed)
    rows = {place: row for row, place in enumerate(zip(drawings.characters, drawings.drawers.tolist(), strict=True))}
    alphabets, drawers = np.unique(drawings.alphabets), np.unique(drawings.drawers)
    runs = []
    for number in range(count):
        own = np.unique(drawings.characters[drawings.alphabets == alphabets[number % len(alphabets)]])
        characters = rng.choice(own, min(ways, len(own)), replace=False)
        first, second = rng.choice(drawers, 2, replace=False).tolist()
        runs.append(
            OneShotRun(
                training=np.asarray([rows[name, first] for name in characters]),
                test=np.asarray([rows[name, second] for name in characters]),
                answers=np.arange(len(characters)),
            )
        )
    return tuple(runs)


def _run(pairs: list[tuple[str, ...]], rows: dict[str, int], name: str) -> OneShotRun:
    missing = [path for pair in pairs for path in pair if path not in rows]
    if missing or any(len(pair) != 2 for pair in pairs):
        raise InputError(f"{name} names {missing[0] if missing else 'no pair'}, but pairs of drawings were expected")
    known = sorted({training for _, training in pairs})
    return OneShotRun(
        training=np.asarray([rows[path] for path in known]),
        test=np.asarray([rows[test] for test, _ in pairs]),
        answers=np.asarray([known.index(training) for _, training in pairs]),
    )


def _ink(image: Image.Image, side: int) -> np.ndarray:
    """Return a drawing centered on its ink, sizes partly evened out, as bright ink on black paper.

    People draw one character at different sizes and places; yet a dot is not a circle, so size is not leveled in full.
    """
    ink = ImageOps.invert(image.convert("L"))
    left, top, right, bottom = ink.getbbox() or (0, 0, *ink.size)
    filled, whole = max(right - left, bottom - top) / (2 * _FILL), max(ink.size) / 2
    reach = filled**_EVENED * whole ** (1 - _EVENED)
    x, y = (left + right) / 2, (top + bottom) / 2
    # Enlarged first, then averaged: bilinear sampling alone would skip pixels.
    large = (_FINER * side, _FINER * side)
    box = (x - reach, y - reach, x + reach, y + reach)
    enlarged = ink.transform(large, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    return np.asarray(enlarged.resize((side, side), Image.Resampling.BOX))
