"""TEEN: new prototypes are moved towards the base prototypes they are like, without training."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from ncapps.benchmarks.fscil_heads.average_cosine import AverageCosineHead
from ncapps.benchmarks.fscil_heads.base import BaseSession, unit
from ncapps.errors import InputError


class TEENHead(AverageCosineHead):
    """Training-free prototype calibration after Wang et al. (2023), as their code has it.

    Parameters
    ----------
    weight : float
        Part of a new prototype that is the weighted mean of base prototypes, in [0, 1]; published: 0.1 for CIFAR-100,
        0.5 for CUB-200 and miniImageNet.
    scale : float
        Multiplies cosines before the softmax that weights the base prototypes; published: 16.
    """

    def __init__(self, weight: float = 0.1, scale: float = 16.0) -> None:
        if not 0 <= weight <= 1:
            raise InputError(f"weight is a part in [0, 1], but {weight} came")
        self.weight, self.scale = weight, scale

    def fit(self, base: BaseSession) -> TEENHead:
        """Take the base classes' means."""
        super().fit(base)
        self.base = unit(self.prototypes)
        return self

    def adapted(self, means: np.ndarray) -> np.ndarray:
        """Return unit means, moved towards the base classes that they are most alike."""
        new = unit(means)
        towards = unit(softmax(self.scale * new @ self.base.T, axis=1) @ self.base)
        return (1 - self.weight) * new + self.weight * towards
