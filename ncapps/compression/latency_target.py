"""Close the loop between the table of the layers' times and the time of the whole network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from ncapps.compression import stopwatch
from ncapps.compression.elimination import Ranking
from ncapps.compression.latency_table import latency_costs
from ncapps.compression.preparation import Preparation
from ncapps.compression.result import Compressed
from ncapps.compression.stopwatch import Clock
from ncapps.compression.surgery import shrunk_copy
from ncapps.errors import InputError

STEPS = 6
"""Networks that are cut and timed to find the share, beside the smallest one."""
NEAR = 0.01
"""How far below the target, as a fraction of it, is near enough to stop."""
SECONDS = 1.0
"""How long a network is timed, and the dense one with it."""


@dataclass(frozen=True, kw_only=True)
class LatencyGoal:
    """What share of the layers' time to keep so that the whole network is as fast as asked.

    Attributes
    ----------
    prepared : Preparation
        The network with the table of times, so that its unit "latency" is known.
    share : float
        The fraction of the time of the layers that can be cut, by the table.
    before_ms : float
        Median milliseconds of the dense network's pass.
    batch : Tensor
        The batch of the timed pass.
    clock : Clock
        What timed it.
    """

    prepared: Preparation
    share: float
    before_ms: float
    batch: torch.Tensor
    clock: Clock

    def with_times(self, small: Compressed) -> Compressed:
        """Return a compressed network with the times before and after in its report, timed in turns."""
        arms = [(self.prepared.dense, self.batch), (small.model, self.batch)]
        dense, own = self.clock(arms, seconds=SECONDS)
        after = self.before_ms / own.speed_up_over(dense)
        return replace(small, report=replace(small.report, latency_before_ms=self.before_ms, latency_after_ms=after))


def within_latency(
    prepared: Preparation,
    rankings: Sequence[Ranking],
    wanted_ms: float,
    *,
    images: int = 1,
    allocation: str = "loss",
    clock: Clock | None = None,
) -> LatencyGoal:
    """Find how much of the layers' time to keep so that one forward pass takes at most so many milliseconds.

    The layers are timed one by one, which says where channels cost most; but the sum of their times is not the
    network's. So networks are cut by that table, not repaired, and timed as a whole; bisection adjusts the share.

    Parameters
    ----------
    prepared : Preparation
        The dense network and its statistics.
    rankings : sequence of Ranking
        Removal order and cost curve of each width.
    wanted_ms : float
        Median milliseconds of one forward pass, in eager torch, on the network's device and the present threads.
    images : int
        Images in that pass: the first of the example batch, over again where these are fewer.
    allocation : {"loss", "uniform"}
        As in `compress`.
    clock : Clock, optional
        What times the modules; by default `time_modules`.

    Raises
    ------
    InputError
        If the dense network is fast enough already, or even the smallest one is not.
    """
    clock = stopwatch.time_modules if clock is None else clock
    batch = prepared.example[torch.arange(images) % len(prepared.example)]
    trials = _Trials(prepared.dense, batch, clock)
    before = trials.before_ms
    where = f"({images} image{'s'[: images > 1]}, {batch.device.type}, {torch.get_num_threads()} threads of torch)"
    if wanted_ms >= before:
        raise InputError(
            f"latency_ms={wanted_ms:g} is met by the dense network, which takes {before:.3g} ms {where}; ask for less"
        )
    prepared = replace(prepared, latency=latency_costs(prepared.dense, prepared.probe.widths, batch, clock))
    least = prepared.least(rankings, "latency")

    def measure(share: float) -> float:
        kept = prepared.choose(rankings, share, unit="latency", allocation=allocation)
        return trials.measure(share, shrunk_copy(prepared.dense, prepared.probe.widths, kept))

    smallest = measure(least)
    if smallest > wanted_ms:
        digits = 2 - math.floor(math.log10(smallest))
        raise InputError(
            f"latency_ms={wanted_ms:g} is out of reach: a pass takes {before:.3g} ms dense and {smallest:.3g} ms with "
            f"every inner width at its least {where}; ask for {math.ceil(smallest * 10**digits) / 10**digits:g} or more"
        )
    largest_share(measure, wanted_ms, least)
    share = max(trials.met(wanted_ms), default=least)
    return LatencyGoal(prepared=prepared, share=share, before_ms=trials.before_ms, batch=batch, clock=clock)


class _Trials:
    """Networks that were timed in turns with the dense one.

    A network's time is the dense one's, the median of all its runs, divided by the median ratio within the rounds: what
    others do on the machine slows both, so that the ratio is steadier than the times.
    """

    def __init__(self, dense: nn.Module, batch: torch.Tensor, clock: Clock) -> None:
        self._dense, self._batch, self._clock = dense, batch, clock
        self._times = list(clock([(dense, batch)], seconds=SECONDS)[0].times_ms)
        self._speed_ups: dict[float, float] = {}

    @property
    def before_ms(self) -> float:
        return float(np.median(self._times))

    def measure(self, share: float, network: nn.Module) -> float:
        dense, own = self._clock([(self._dense, self._batch), (network, self._batch)], seconds=SECONDS)
        self._times += dense.times_ms
        self._speed_ups[share] = own.speed_up_over(dense)
        return self.before_ms / self._speed_ups[share]

    def met(self, wanted_ms: float) -> list[float]:
        """Return the shares tried whose networks take at most so many milliseconds, by all that is known now."""
        return [share for share, speed_up in self._speed_ups.items() if self.before_ms / speed_up <= wanted_ms]


def largest_share(measure: Callable[[float], float], wanted_ms: float, least: float) -> float:
    """Return the largest share that bisection between `least` and 1 finds to take at most so many milliseconds.

    Parameters
    ----------
    measure : callable
        From the share to the network's milliseconds.
    wanted_ms : float
        What `measure(least)` does not exceed.
    least : float
        The smallest share.

    Examples
    --------
    >>> largest_share(lambda share: 2 + 8 * share, 6.0, 0.0)
    0.5
    """
    low, high = least, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        taken = measure(middle)
        if taken > wanted_ms:
            high = middle
            continue
        low = middle
        if taken >= (1 - NEAR) * wanted_ms:
            break
    return low
