"""Second moments made by hand, for the tests of what looks at them."""

from __future__ import annotations

import numpy as np
import torch

from ncapps.compression.moments import WidthMoments
from ncapps.compression.widths import InnerWidth


def moments_of(inputs: np.ndarray, weight: np.ndarray, *, least: int = 1, **changes) -> WidthMoments:
    """Return the moments of a linear consumer that reads `inputs` (n, channels) with `weight` (channels, outputs)."""
    channels = inputs.shape[1]
    columns = torch.from_numpy(np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1))
    fields = {
        "width": InnerWidth(producer="a", coupled=(), consumer="b", channels=channels),
        "taps": 1,
        "gram": columns.T @ columns / len(columns),
        "weight": torch.from_numpy(np.concatenate([weight, np.zeros((1, weight.shape[1]))])),
        "producer_weight": torch.ones(channels, 1),
        "activity": inputs.astype(np.float32),
        "labels": None,
        "energy": 1.0,
        "least_width": least,
    }
    return WidthMoments(**(fields | changes))
