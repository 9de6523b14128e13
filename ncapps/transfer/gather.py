"""The features of the same images from every candidate, row by row, and what each costs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ncapps.arrays import as_labels, as_matrix
from ncapps.errors import InputError
from ncapps.features import FeatureExtractor, Features, ImageSource, Skipped
from ncapps.transfer.candidates import Candidate
from ncapps.transfer.cost import Cost, measure_cost
from ncapps.transfer.sample import choose_images
from ncapps.transfer.settings import RankSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class Gathered:
    """Features to be scored.

    Parameters
    ----------
    values : tuple of numpy.ndarray
        A matrix (images, feature width) for each candidate, rows in the same order.
    labels : numpy.ndarray
        The class of each row.
    costs : tuple of Cost or None
        None for a candidate whose features came ready.
    classes_of_data : int
        Classes of all the images, of which those chosen may be fewer.
    skipped : tuple of Skipped
        Chosen images that could not be read.
    """

    values: tuple[np.ndarray, ...]
    labels: np.ndarray
    costs: tuple[Cost | None, ...]
    classes_of_data: int
    skipped: tuple[Skipped, ...] = ()


def gather(
    candidates: Sequence[Candidate],
    source: ImageSource | None,
    labels: Any,
    settings: RankSettings,
    cache: Path | None = None,
) -> Gathered:
    """Choose images within the budget and return each candidate's features of just these.

    Parameters
    ----------
    source : ImageSource or None
        The labelled images; None where every candidate's features are ready.
    labels : array-like or None
        Without a source: one class name a row of the ready features.
    cache : Path, optional
        A folder for the extracted features.

    Raises
    ------
    InputError
        If there are no labels, ready features have another number of rows, or no image is left.
    """
    keys, names = _images(candidates, source, labels)
    chosen = choose_images(names, settings)
    subset = None if source is None else source.select(chosen)
    values: list[np.ndarray] = []
    costs: list[Cost | None] = []
    readable = np.ones(len(chosen), dtype=bool)
    skipped: dict[str, Skipped] = {}
    for candidate in candidates:
        if candidate.open is None:
            values.append(_ready(candidate, keys, len(names))[chosen])
            costs.append(None)
            continue
        if subset is None:
            raise InputError(f"candidate {candidate.name!r} is a network, so images are needed: give them as data")
        extractor = candidate.open()
        found = _extract(extractor, subset, cache)
        rows = np.full(len(chosen), -1)
        place = {key: row for row, key in enumerate(subset.keys)}
        rows[[place[key] for key in found.keys]] = np.arange(len(found))
        values.append(found.values[rows])
        readable &= rows >= 0
        skipped |= {entry.key: entry for entry in found.skipped}
        costs.append(measure_cost(extractor))
    return Gathered(
        values=tuple(one[readable] for one in values),
        labels=names[chosen][readable],
        costs=tuple(costs),
        classes_of_data=len(np.unique(names)),
        skipped=tuple(skipped.values()),
    )


def _images(
    candidates: Sequence[Candidate], source: ImageSource | None, labels: Any
) -> tuple[tuple[str, ...] | None, np.ndarray]:
    """Return all images' keys, where they have any, and labels."""
    if source is not None:
        if source.labels is None:
            raise InputError(
                f"{source.name} has no class names; expected one sub-folder a class, or a list with labels"
            )
        return source.keys, as_labels(source.labels, len(source))
    extracted = [one.features for one in candidates if isinstance(one.features, Features)]
    keys = extracted[0].keys if extracted else None
    if labels is None:
        labels = next((one.labels for one in extracted if one.labels is not None), None)
    if labels is None:
        raise InputError("there are neither images nor labels; give images as data, or labels=, one a row of features")
    return keys, as_labels(labels)


def _ready(candidate: Candidate, keys: tuple[str, ...] | None, images: int) -> np.ndarray:
    given = candidate.features
    if isinstance(given, Features):
        if keys is not None and given.keys != keys:
            raise InputError(
                f"the features of {candidate.name!r} are not of the same images in the same order; extract them anew "
                "from the same source"
            )
        given = given.values
    values = as_matrix(given)
    if len(values) != images:
        raise InputError(f"the features of {candidate.name!r} have {len(values)} rows, but there are {images} images")
    return values


def _extract(extractor: FeatureExtractor, images: ImageSource, cache: Path | None) -> Features:
    if cache is None:
        return extractor.extract(images)
    digest = hashlib.sha256(json.dumps(extractor.identity(images), sort_keys=True).encode()).hexdigest()
    words = re.sub(r"[^A-Za-z0-9_.]+", "_", f"{extractor.backbone.tag}-{images.name}")
    return extractor.extract(images, store=cache / f"{words}-{digest[:16]}")
