"""Where and how precisely the network runs: the device, and bfloat16 where the hardware multiplies it fast."""

from __future__ import annotations

from typing import Literal

import torch

from ncapps.errors import InputError

Precision = Literal["float32", "bfloat16"]
_PRECISIONS = ("auto", "float32", "bfloat16")


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """Return the device asked for, or with "auto" the best there is: CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    InputError
        If the name is none of torch's, or the device is not there.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).splitlines() or ["unknown"])[0]
        raise InputError(f"device {str(device)!r} cannot be used ({reason}); is it 'cpu', or 'auto'?") from None
    return chosen


def choose_precision(precision: str, device: torch.device) -> Precision:
    """Return the precision asked for, or with "auto" bfloat16 where the device is fast at it, else float32.

    Raises
    ------
    InputError
        If it is none of "auto", "float32", "bfloat16".
    """
    if precision not in _PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(_PRECISIONS)}, but {precision!r} came")
    if precision == "auto":
        return "bfloat16" if _fast_bfloat16(device) else "float32"
    return "bfloat16" if precision == "bfloat16" else "float32"


def _fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        # Older devices emulate it, more slowly than float32.
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return False
