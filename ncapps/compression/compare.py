"""Run two networks on the same images: how often they decide alike, and how often each is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ncapps.compression.calibration import Calibration


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two networks on the same images.

    Attributes
    ----------
    agreement : float
        Fraction of the images on which their largest outputs are the same.
    accuracy_before, accuracy_after : float or None
        Fraction on which the first and the second are right; None without class indices.
    """

    agreement: float
    accuracy_before: float | None
    accuracy_after: float | None


def compare(dense: nn.Module, small: nn.Module, images: Calibration) -> Comparison:
    """Compare the decisions of two networks in evaluation mode.

    Parameters
    ----------
    images : Calibration
        Their labels count if they are integers: the index of the network's output.
    """
    before, after = (_decide(model, images) for model in (dense, small))
    labels = images.labels
    known = labels is not None and labels.dtype.kind in "iu"
    return Comparison(
        agreement=float((before == after).mean()),
        accuracy_before=float((before == labels).mean()) if known else None,
        accuracy_after=float((after == labels).mean()) if known else None,
    )


def _decide(model: nn.Module, images: Calibration) -> np.ndarray:
    device = next(model.parameters()).device
    with torch.no_grad():
        return torch.cat([model(batch).flatten(1).argmax(dim=1).cpu() for batch in images.batches(device)]).numpy()
