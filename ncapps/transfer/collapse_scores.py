"""NC1 and CDNV as scores of a backbone: how tight the user's classes are in its features before any training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ncapps.transfer.sample import TransferSample


def nc1(sample: TransferSample) -> float:
    """Return trace(S_w pinv(S_b)) / K, see `CollapseReport.nc1`; lower = tighter classes."""
    return sample.collapse.nc1


def cdnv(sample: TransferSample) -> float:
    """Return the class-distance normalised variance, see `CollapseReport.cdnv`; lower = tighter classes."""
    return sample.collapse.cdnv
