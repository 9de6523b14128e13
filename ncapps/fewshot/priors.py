"""Class priors: how often each class is met."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ncapps.arrays import Label, native, unknown_class
from ncapps.errors import InputError


def log_priors(priors: Mapping[Label, float], names: np.ndarray) -> np.ndarray:
    """Return the logarithm of each class's prior, shape (classes,); a class that is not named weighs 1.

    Raises
    ------
    InputError
        If a class is not known, or a prior is not above 0.

    Examples
    --------
    >>> log_priors({"cat": 1.0}, np.array(["cat", "dog"])).tolist()
    [0.0, 0.0]
    """
    weights = dict.fromkeys(names.tolist(), 1.0)
    for name, weight in priors.items():
        if native(name) not in weights:
            unknown = unknown_class(native(name), names)
            raise InputError(f"{unknown}; priors name it: add it, or leave it out with set_params(priors=...)")
        if not weight > 0:
            raise InputError(f"the prior of class {name!r} must be above 0, but {weight} came")
        weights[native(name)] = float(weight)
    return np.log([weights[name] for name in names.tolist()])


def moved_priors(
    priors: Mapping[Label, float] | None, names: Collection[Label], new: Label
) -> Mapping[Label, float] | None:
    """Return priors in which some classes have become one of another name, met as often as all of them.

    Examples
    --------
    >>> moved_priors({"cat": 3.0, "cow": 2.0}, ["cat", "dog"], "pet")
    {'pet': 4.0, 'cow': 2.0}
    """
    if priors is None or not any(native(name) in names for name in priors):
        return priors
    given = {native(name): float(weight) for name, weight in priors.items()}
    total = sum(given.get(name, 1.0) for name in names)
    return {new if name in names else name: total if name in names else weight for name, weight in given.items()}
