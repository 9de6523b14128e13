"""Time modules against each other, in eager torch, as often as a number of seconds allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import nn

from ncapps.compression.latency import Latency, measure_latency

FEWEST, MOST = 7, 50
"""Rounds that count."""


class Clock(Protocol):
    """Anything that times modules as `time_modules` does."""

    def __call__(self, arms: Sequence[tuple[nn.Module, torch.Tensor]], *, seconds: float) -> Sequence[Latency]:
        """Return how long each module takes for its input."""
        ...


def time_modules(arms: Sequence[tuple[nn.Module, torch.Tensor]], *, seconds: float) -> list[Latency]:
    """Return how long each module takes for its input, all of them turn by turn, in eager torch.

    On the threads that torch has just now; on an accelerator the clock is read when the work is done.

    Parameters
    ----------
    arms : sequence of (module, Tensor)
        Modules, in evaluation mode, and what each is called with, on its device.
    seconds : float
        About how long to go on: between 7 and 50 rounds.

    Examples
    --------
    >>> import torch
    >>> narrow, wide = torch.nn.Linear(8, 8), torch.nn.Linear(8, 4096)
    >>> fast, slow = time_modules([(narrow, torch.ones(64, 8)), (wide, torch.ones(64, 8))], seconds=0.05)
    >>> fast.p50_ms < slow.p50_ms
    True
    """
    calls = {str(place): partial(_call, module, inputs, _wait(inputs)) for place, (module, inputs) in enumerate(arms)}
    with torch.inference_mode():
        first = measure_latency(calls, runs=2, warmup=2)
        one_round = 1e-3 * sum(min(one.times_ms) for one in first.values())
        runs = int(np.clip(seconds / max(one_round, 1e-6), FEWEST, MOST))
        return list(measure_latency(calls, runs=runs, warmup=0).values())


def _call(module: nn.Module, inputs: torch.Tensor, wait: Callable[[], object]) -> None:
    module(inputs)
    wait()


def _wait(inputs: torch.Tensor) -> Callable[[], object]:
    if inputs.device.type == "cpu":
        return lambda: None
    return partial(torch.accelerator.synchronize, inputs.device)
