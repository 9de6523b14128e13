"""OpenOOD v1.5: which lists make up each benchmark, opened from an existing data folder; nothing is downloaded.

Zhang et al., OpenOOD v1.5: Enhanced Benchmark for Out-of-Distribution Detection (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ncapps.errors import InputError
from ncapps.features.folder import FileSource
from ncapps.features.imglist import open_imglist
from ncapps.features.preprocessing import Preprocessing

_LISTS = "benchmark_imglist"


@dataclass(frozen=True, kw_only=True)
class OpenOODProtocol:
    """One of OpenOOD's benchmarks: the known data set, and the unknown ones near to it and far from it.

    Parameters
    ----------
    lists : str
        The folder of its lists below `benchmark_imglist`, and the data set's name in their file names.
    classes : int
        Known classes.
    images : str
        The folder that the listed paths are relative to.
    near, far : tuple of str
        Names of the unknown sets, as in `test_NAME.txt`.
    elsewhere : dict
        Unknown sets whose paths are relative to another folder than `images`.
    preprocessing : Preprocessing
        The test transform.
    """

    lists: str
    classes: int
    images: str
    near: tuple[str, ...]
    far: tuple[str, ...]
    elsewhere: dict[str, str]
    preprocessing: Preprocessing


_IMAGENET_NEAR = ("ssb_hard", "ninco")
_IMAGENET_FAR = ("inaturalist", "textures", "openimage_o")
_IMAGENET_PREPROCESSING = Preprocessing(size=(224, 224), crop_pct=224 / 256, interpolation="bilinear")


def _cifar(name: str, classes: int, other: str, mean: tuple[float, ...], std: tuple[float, ...]) -> OpenOODProtocol:
    """Return the benchmark of one CIFAR, to which the other is near."""
    return OpenOODProtocol(
        lists=name,
        classes=classes,
        images="images_classic",
        near=(other, "tin"),
        far=("mnist", "svhn", "texture", "places365"),
        elsewhere={},
        preprocessing=Preprocessing(size=(32, 32), crop_pct=1.0, interpolation="bilinear", mean=mean, std=std),
    )


OPENOOD: dict[str, OpenOODProtocol] = {
    "cifar10": _cifar("cifar10", 10, "cifar100", mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)),
    "cifar100": _cifar("cifar100", 100, "cifar10", mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761)),
    # The textures of both ImageNet benchmarks lie with the small images.
    "imagenet200": OpenOODProtocol(
        lists="imagenet200",
        classes=200,
        images="images_largescale",
        near=_IMAGENET_NEAR,
        far=_IMAGENET_FAR,
        elsewhere={"textures": "images_classic"},
        preprocessing=_IMAGENET_PREPROCESSING,
    ),
    "imagenet1k": OpenOODProtocol(
        lists="imagenet",
        classes=1000,
        images="images_largescale",
        near=_IMAGENET_NEAR,
        far=_IMAGENET_FAR,
        elsewhere={"textures": "images_classic"},
        preprocessing=_IMAGENET_PREPROCESSING,
    ),
}
"""The benchmarks of OpenOOD v1.5 by the name of the known data set."""


@dataclass(frozen=True, kw_only=True)
class OpenOODSources:
    """The images of one benchmark.

    Parameters
    ----------
    train, val, test : FileSource
        Known images to fit on, to calibrate on and to report on; labels are the head's rows.
    near, far : dict
        Unknown sets by name.
    """

    train: FileSource
    val: FileSource
    test: FileSource
    near: dict[str, FileSource]
    far: dict[str, FileSource]


def open_openood(name: str, root: str | Path) -> OpenOODSources:
    """Open the images of an OpenOOD v1.5 benchmark from OpenOOD's data folder; none is read yet.

    Parameters
    ----------
    name : str
        "cifar10", "cifar100", "imagenet200" or "imagenet1k".
    root : str or Path
        The folder that holds `benchmark_imglist`, `images_classic` and `images_largescale`.

    Raises
    ------
    InputError
        If the benchmark is unknown; or a folder, a list, or the images of a list are missing: all of the missing
        folders and lists are named in one line.
    """
    if name not in OPENOOD:
        raise InputError(f"OpenOOD has no benchmark {name!r}; the names are {', '.join(OPENOOD)}")
    protocol, root = OPENOOD[name], Path(root)
    _require(protocol, root)

    def opened(list_name: str, images: str = protocol.images) -> FileSource:
        return open_imglist(root / _LISTS / protocol.lists / f"{list_name}.txt", root / images)

    train, val, test = (opened(f"{part}_{protocol.lists}") for part in ("train", "val", "test"))
    for source in (train, val, test):
        _check_labels(source, protocol.classes)
    near, far = (
        {unknown: opened(f"test_{unknown}", protocol.elsewhere.get(unknown, protocol.images)) for unknown in names}
        for names in (protocol.near, protocol.far)
    )
    return OpenOODSources(train=train, val=val, test=test, near=near, far=far)


def _require(protocol: OpenOODProtocol, root: Path) -> None:
    """Say in one line what of OpenOOD's folder is not there."""
    lists = root / _LISTS / protocol.lists
    names = [f"{part}_{protocol.lists}" for part in ("train", "val", "test")]
    names += [f"test_{unknown}" for unknown in (*protocol.near, *protocol.far)]
    folders = [root / folder for folder in dict.fromkeys((protocol.images, *protocol.elsewhere.values()))]
    missing = [str(folder) for folder in (lists, *folders) if not folder.is_dir()]
    if lists.is_dir():
        missing += [str(lists / f"{name}.txt") for name in names if not (lists / f"{name}.txt").is_file()]
    if missing:
        raise InputError(
            f"{root} is no complete OpenOOD v1.5 data folder: {', '.join(missing)} missing; ncapps downloads nothing, "
            "OpenOOD's scripts/download/download.py does"
        )


def _check_labels(source: FileSource, classes: int) -> None:
    if source.labels is None or not set(source.labels) <= set(range(classes)):
        raise InputError(f"{source.name} must label its images 0 to {classes - 1}; is it another benchmark's list?")
