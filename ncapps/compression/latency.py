"""Latency of several callables in one run: warmed up, turn by turn, as p50 and p95."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long one callable took, run after run.

    Attributes
    ----------
    times_ms : tuple of float
        Milliseconds of each run, in order, the warm-up left out.
    """

    times_ms: tuple[float, ...]

    @property
    def p50_ms(self) -> float:
        """The median run, in milliseconds."""
        return float(np.median(self.times_ms))

    @property
    def p95_ms(self) -> float:
        """The 95th percentile of the runs, in milliseconds."""
        return float(np.percentile(self.times_ms, 95))

    def speed_up_over(self, slower: Latency) -> float:
        """Return how many times as fast this one is: the median over the rounds of the two times' ratio.

        Work of others on the machine hits both runs of a round, so that the ratio within it is steadier than that of
        the medians.

        Raises
        ------
        InputError
            If the two were not measured in the same rounds.
        """
        if len(self.times_ms) != len(slower.times_ms):
            raise InputError(
                f"{len(self.times_ms)} and {len(slower.times_ms)} runs cannot be compared round by round; "
                "measure both in one call"
            )
        return float(np.median(np.divide(slower.times_ms, self.times_ms)))


def measure_latency(
    arms: Mapping[str, Callable[[], object]], *, runs: int = 50, warmup: int = 10
) -> dict[str, Latency]:
    """Call each arm once a round, the first one changing from round to round, and time every call.

    The number of threads is the arms' own affair; state it beside the figures.

    Parameters
    ----------
    arms : mapping
        What to time, by name: functions of no argument.
    runs : int
        Rounds that count.
    warmup : int
        Rounds before them that do not.

    Raises
    ------
    InputError
        If there are no arms, `runs` is below 1 or `warmup` below 0.

    Examples
    --------
    >>> found = measure_latency({"short": lambda: sum(range(10)), "long": lambda: sum(range(100_000))}, runs=5)
    >>> found["short"].p50_ms < found["long"].p50_ms
    True
    """
    if not arms or runs < 1 or warmup < 0:
        raise InputError(f"one arm, runs=1 and warmup=0 are the least, but {len(arms)}, {runs} and {warmup} came")
    names, times = [*arms], {name: [] for name in arms}
    for turn in range(warmup + runs):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            arms[name]()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: Latency(times_ms=tuple(taken[warmup:])) for name, taken in times.items()}
