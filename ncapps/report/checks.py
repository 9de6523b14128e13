"""What the figures ask of their input, each with one clear line when it is not so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ncapps.arrays import to_numpy
from ncapps.errors import InputError


def as_scores(values: Any, group: str, *, needed: bool = False) -> np.ndarray:
    """Return one group's scores as a finite float64 vector; higher = more in-distribution.

    Raises
    ------
    InputError
        If they are not one number an image, hold NaN or infinity, or are missing where `needed`.
    """
    scores = np.asarray(to_numpy(values))
    if scores.dtype.kind not in "biuf" or scores.ndim != 1:
        raise InputError(
            f"scores of {group!r} must be one number an image, but have the shape {scores.shape} "
            f"and the type {scores.dtype}"
        )
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).sum())
        raise InputError(f"scores of {group!r} hold NaN or infinity in {bad} of {len(scores)} images")
    if needed and not len(scores):
        raise InputError(f"group {group!r} has no scores, but known images are needed to compare with; is it empty?")
    return scores.astype(np.float64)


def as_groups(groups: Any) -> dict[str, np.ndarray]:
    """Return groups of scores by name, in the order given.

    Raises
    ------
    InputError
        If `groups` is not a mapping, or one of its groups is no vector of scores.
    """
    if not isinstance(groups, Mapping):
        raise InputError(f"groups must map names to scores, but a {type(groups).__name__} came; use {{name: scores}}")
    return {str(name): as_scores(values, str(name)) for name, values in groups.items()}


def as_point(point: Any, what: str) -> tuple[float, float]:
    """Return (share of MACs, accuracy), both in [0, 1], as plain floats.

    Raises
    ------
    InputError
        If it is not such a pair.
    """
    try:
        ratio, accuracy = (float(value) for value in point)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be a pair (share of MACs, accuracy), but {point!r} came") from None
    if not (0 < ratio <= 1.5 and 0 <= accuracy <= 1):
        raise InputError(
            f"{what} must hold a share of MACs above 0 and an accuracy in [0, 1], but ({ratio:g}, {accuracy:g}) came; "
            "are they in percent?"
        )
    return ratio, accuracy
