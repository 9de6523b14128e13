"""The standard layouts of few-shot class-incremental learning (FSCIL), and the index lists that fix their images."""

from __future__ import annotations

import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ncapps.config import did_you_mean
from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How many classes come when, and from how many images.

    Parameters
    ----------
    base : int
        Classes of the first session, which come with many images each.
    steps : int
        Sessions after it.
    ways, shots : int
        New classes a step, and training images of each.
    folder : str
        The folder of the index lists; "" where there are none.
    """

    base: int
    steps: int
    ways: int
    shots: int = 5
    folder: str = ""

    @property
    def classes(self) -> int:
        """All classes after the last step."""
        return self.base + self.steps * self.ways


LAYOUTS: dict[str, Layout] = {
    "shared": Layout(base=60, steps=8, ways=5),
    "cifar100": Layout(base=60, steps=8, ways=5, folder="cifar100"),
    "mini_imagenet": Layout(base=60, steps=8, ways=5, folder="mini_imagenet"),
    "cub200": Layout(base=100, steps=10, ways=10, folder="cub200"),
}
"""The layouts that published methods are compared in (Tao et al. 2020), and "shared", CIFAR-100 from class folders."""


def find_layout(name: str) -> Layout:
    """Return a layout of `LAYOUTS`, or raise an InputError that names the nearest one."""
    if name not in LAYOUTS:
        raise InputError(f"there is no FSCIL layout {name!r}{did_you_mean(name, list(LAYOUTS))}")
    return LAYOUTS[name]


def read_lists(where: str | Path, layout: Layout) -> list[list[str]]:
    r"""Return the lines of a layout's `session_N.txt`, N = 1 the base session.

    Parameters
    ----------
    where : str or Path
        A folder or zip that holds `cifar100/session_1.txt` and so on, at its top or below one folder.
    layout : Layout
        Which lists, and how many lines each must have.

    Raises
    ------
    InputError
        If a list is missing, empty, of another length than the layout says, or names an image twice.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "tiny").mkdir()
    ...     for number, lines in enumerate(["0\n1\n2", "8"], 1):
    ...         _ = (Path(folder) / "tiny" / f"session_{number}.txt").write_text(lines)
    ...     read_lists(folder, Layout(base=3, steps=1, ways=1, shots=1, folder="tiny"))
    [['0', '1', '2'], ['8']]
    """
    found = [read_lines(where, f"{layout.folder}/session_{number}.txt") for number in range(1, layout.steps + 2)]
    for number, lines in enumerate(found[1:], 2):
        if len(lines) != layout.ways * layout.shots:
            raise InputError(
                f"{layout.folder}/session_{number}.txt lists {len(lines)} images, but {layout.ways} classes of "
                f"{layout.shots} images make {layout.ways * layout.shots}; is it another split's list?"
            )
    twice, times = Counter(line for session in found for line in session).most_common(1)[0]
    if times > 1:
        raise InputError(f"the lists of {layout.folder} name the image {twice} twice; list each image once")
    return found


def read_lines(where: str | Path, name: str) -> list[str]:
    """Return the lines of one text file in a folder or zip, blank ones left out; an InputError where there are none."""
    where = Path(where)
    text = _from_zip(where, name) if where.suffix.lower() == ".zip" else _from_folder(where, name)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{name} in {where} lists no images")
    return lines


def _from_folder(where: Path, name: str) -> str:
    for path in (where / name, *sorted(where.glob(f"*/{name}"))):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise InputError(f"{where} holds no {name}; is it the folder that the lists were unpacked in?")


def _from_zip(where: Path, name: str) -> str:
    try:
        with zipfile.ZipFile(where) as archive:
            entries = [entry for entry in archive.namelist() if entry == name or entry.endswith(f"/{name}")]
            if not entries:
                raise InputError(f"{where} holds no {name}; expected the zip of the standard index lists")
            return archive.read(min(entries, key=len)).decode("utf-8")
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"the zip of index lists {where} cannot be opened: {error}") from None
