"""In which precision the backbone computes while it is trained."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from ncapps.features.precision import choose_precision


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context that the backbone runs in: bfloat16 where it is asked for, or with "auto" where it pays.

    That is on GPUs that compute in it; on a CPU "auto" means float32.
    """
    if precision == "auto" and device.type == "cpu":
        precision = "float32"
    if choose_precision(precision, device) == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
