"""Class priors: how often each class is met."""

from __future__ import annotations

from collections.abc import Mapping

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
            raise unknown_class(native(name), names)
        if not weight > 0:
            raise InputError(f"the prior of class {name!r} must be above 0, but {weight} came")
        weights[native(name)] = float(weight)
    return np.log([weights[name] for name in names.tolist()])
