"""What tests of image sources share: the same photos as a folder, a zip and a list."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from ncapps.features.images import ImageSource, open_images


def zip_of(folder: Path, target: Path, prefix: str = "", method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(target, "w", method) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, prefix + file.relative_to(folder).as_posix())
    return target


def list_of(folder: Path, suffix: str = ".csv") -> Path:
    mark = {".csv": ",", ".tsv": "\t"}[suffix]
    lines = [mark.join((key, key.split("/")[0])) for key in sorted(open_images(folder).keys)]
    target = folder / f"list{suffix}"
    target.write_text("\n".join([mark.join(("path", "label")), *lines]) + "\n")
    return target


def same(a: ImageSource, b: ImageSource) -> bool:
    return (
        a.keys == b.keys
        and a.labels == b.labels
        and all(np.array_equal(np.asarray(a.read(i)), np.asarray(b.read(i))) for i in range(len(a)))
    )
