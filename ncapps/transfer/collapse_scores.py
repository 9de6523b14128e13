"""NC1 and CDNV as scores of a backbone: how tight the user's classes are in its features before any training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ncapps.transfer.sample import TransferSample


def nc1(sample: TransferSample) -> float:
    """Return trace(S_w pinv(S_b)) / K, see `CollapseReport.nc1`; lower = tighter; infinite where classes coincide."""
    return sample.collapse.nc1 if _apart(sample) else float("inf")


def cdnv(sample: TransferSample) -> float:
    """Return the class-distance normalised variance, see `CollapseReport.cdnv`; lower = tighter."""
    return sample.collapse.cdnv if _apart(sample) else float("inf")


def _apart(sample: TransferSample) -> bool:
    """Constant features have no spread at all, and would look like perfect collapse."""
    return bool(np.ptp(sample.statistics.means, axis=0).any())
