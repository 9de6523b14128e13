"""easyfsl's inductive methods as rivals: the package itself on cached features, all classes in one label space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ncapps.errors import InputError

EASYFSL = (
    "easyfsl ProtoNet",
    "easyfsl ProtoNet, unit length",
    "easyfsl SimpleShot",
    "easyfsl SimpleShot, centered",
)
"""PrototypicalNetworks and SimpleShot as they come, and with the package's own centering and normalization."""


def easyfsl_classifier(name: str, center: np.ndarray) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Return a function of support features, their class names, and queries that names the queries.

    Parameters
    ----------
    name : str
        A name in EASYFSL.
    center : numpy.ndarray
        The mean of the base images' features, shape (width,), for the centered one.

    Raises
    ------
    InputError
        If easyfsl is not installed, or has no such method.
    """
    try:
        import torch
        from easyfsl.methods import PrototypicalNetworks, SimpleShot
    except ImportError:
        raise InputError("easyfsl is not installed; pip install ncapps[bench], or set easyfsl: false") from None
    methods: dict[str, Any] = {
        EASYFSL[0]: lambda: PrototypicalNetworks(),
        EASYFSL[1]: lambda: PrototypicalNetworks(feature_normalization=2),
        EASYFSL[2]: lambda: SimpleShot(),
        EASYFSL[3]: lambda: SimpleShot(feature_centering=torch.from_numpy(center), feature_normalization=2),
    }
    if name not in methods:
        raise InputError(f"easyfsl's methods here are {', '.join(EASYFSL)}, but {name!r} came")
    method = methods[name]()

    def classify(support: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> np.ndarray:
        names, codes = np.unique(labels, return_inverse=True)
        with torch.no_grad():
            method.process_support_set(torch.from_numpy(support), torch.from_numpy(codes))
            return names[method(torch.from_numpy(queries)).argmax(dim=1).numpy()]

    return classify
