"""Data sets by name: scikit-learn's digits, which need no files, and torchvision's, read from where they lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ncapps.arrays import Label, to_numpy
from ncapps.errors import InputError
from ncapps.features.array_source import ArraySource
from ncapps.features.decode import MAX_PIXELS
from ncapps.features.folder import FileSource
from ncapps.features.source import ImageSource, as_key


@dataclass(frozen=True, kw_only=True)
class Registered:
    """How torchvision calls a data set, its splits, and the attributes that hold images and labels.

    Attributes
    ----------
    torchvision : str
        The class in `torchvision.datasets`.
    splits : tuple of str
        The splits there are; empty where there is only one.
    images : str
        The attribute with the pixels ("data") or with the files' paths.
    labels : str
        The attribute with the class numbers; empty where `images` holds pairs of path and number.
    named : bool
        Whether the classes have names; else they are called by their numbers.
    """

    torchvision: str
    splits: tuple[str, ...] = ("train", "test")
    images: str = "data"
    labels: str = "targets"
    named: bool = True


_THREE = ("train", "val", "test")

DATASETS: dict[str, Registered | None] = {
    "digits": None,
    "cifar10": Registered(torchvision="CIFAR10"),
    "cifar100": Registered(torchvision="CIFAR100"),
    "mnist": Registered(torchvision="MNIST", named=False),
    "fashion_mnist": Registered(torchvision="FashionMNIST"),
    "kmnist": Registered(torchvision="KMNIST"),
    "usps": Registered(torchvision="USPS", named=False),
    "svhn": Registered(torchvision="SVHN", splits=("train", "test", "extra"), labels="labels", named=False),
    "stl10": Registered(torchvision="STL10", labels="labels"),
    "flowers102": Registered(torchvision="Flowers102", splits=_THREE, images="_image_files", labels="_labels"),
    "dtd": Registered(torchvision="DTD", splits=_THREE, images="_image_files", labels="_labels"),
    "food101": Registered(torchvision="Food101", images="_image_files", labels="_labels"),
    "oxford_pets": Registered(
        torchvision="OxfordIIITPet", splits=("trainval", "test"), images="_images", labels="_labels"
    ),
    "fgvc_aircraft": Registered(
        torchvision="FGVCAircraft", splits=(*_THREE, "trainval"), images="_image_files", labels="_labels"
    ),
    "sun397": Registered(torchvision="SUN397", splits=(), images="_image_files", labels="_labels"),
    "eurosat": Registered(torchvision="EuroSAT", splits=(), images="samples", labels=""),
    "country211": Registered(torchvision="Country211", splits=("train", "valid", "test"), images="samples", labels=""),
    "gtsrb": Registered(torchvision="GTSRB", images="_samples", labels="", named=False),
    "stanford_cars": Registered(torchvision="StanfordCars", images="_samples", labels=""),
}


def open_dataset(
    name: str, split: str | None = None, root: str | Path | None = None, max_pixels: int = MAX_PIXELS
) -> ImageSource:
    """Return a data set of `DATASETS`; nothing is ever downloaded.

    "digits" has integer labels 0 to 9 and needs no files. For the others `root` is the folder that torchvision was
    given when it downloaded them, and `split` has to be named, as test images must not end up in training unseen.

    Raises
    ------
    InputError
        If the name, the split or the root is missing or unknown, or the files are not there.
    """
    if name not in DATASETS:
        raise InputError(f"there is no data set {name!r}; the names are {', '.join(DATASETS)}")
    entry = DATASETS[name]
    _check_split(name, split, () if entry is None else entry.splits)
    if entry is None:
        return _digits()
    if root is None:
        raise InputError(f"{name} is read from disk: say root=, the folder that torchvision downloaded it to")
    dataset = _load(name, entry, split, Path(root))
    numbers, pictures = _numbers_and_pictures(dataset, entry)
    labels = _names(dataset, numbers) if entry.named else numbers
    title = f"{name}-{split}" if split else name
    if entry.images == "data":
        return ArraySource(_channels_last(pictures), labels, name=title)
    files = [str(file) for file in pictures]
    keys = [as_key(os.path.relpath(file, root).replace(os.sep, "/")) for file in files]
    return FileSource(title, files, keys, labels, max_pixels=max_pixels)


def _check_split(name: str, split: str | None, splits: tuple[str, ...]) -> None:
    if not splits and split is not None:
        raise InputError(f"{name} has no split {split!r}, it is one whole; split it with split_by_class")
    if splits and split not in splits:
        what = "no split was named" if split is None else f"has no split {split!r}"
        raise InputError(f"{name}: {what}; say split= one of {', '.join(splits)}")


def _digits() -> ImageSource:
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    # The ink counts go from 0 to 16.
    pixels = np.rint(np.asarray(bunch.images) * (255 / 16)).astype(np.uint8)
    return ArraySource(pixels, bunch.target, name="digits")


def _load(name: str, entry: Registered, split: str | None, root: Path) -> Any:
    from torchvision import datasets

    settings: dict[str, Any] = {} if name in ("eurosat", "sun397") else {"split": split}
    if entry.labels == "targets":
        settings = {"train": split == "train"}
    try:
        return getattr(datasets, entry.torchvision)(str(root), download=False, **settings)
    except (RuntimeError, OSError) as error:
        text = str(error).splitlines()[0].split(" You can use")[0] if str(error) else type(error).__name__
        raise InputError(
            f"{name} was not found in {root} ({text}); ncapps downloads nothing: "
            f"torchvision.datasets.{entry.torchvision}({str(root)!r}, download=True) does"
        ) from None


def _numbers_and_pictures(dataset: Any, entry: Registered) -> tuple[list[int], Any]:
    pictures = getattr(dataset, entry.images)
    if entry.labels:
        return [int(number) for number in to_numpy(getattr(dataset, entry.labels))], pictures
    return [int(number) for _, number in pictures], [file for file, _ in pictures]


def _names(dataset: Any, numbers: Sequence[int]) -> list[Label]:
    classes = dataset.classes
    return [str(classes[number]) for number in numbers]


def _channels_last(pixels: Any) -> np.ndarray:
    array = to_numpy(pixels)
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 and array.shape[1] == 3 else array
