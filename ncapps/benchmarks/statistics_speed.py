"""How fast `ClassStatistics` is against the bare matrix product it can't do without, and how its memory grows."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ncapps.errors import InputError
from ncapps.statistics import ClassStatistics

# Rows of one float64 product: a longer one is no faster.
_PRODUCT = 8192
_BATCH = 10_000


@dataclass(frozen=True, kw_only=True)
class SpeedSettings:
    """What to time: standard normal float32 features, labels drawn at random, `rounds` alternated rounds of all arms.

    The two sizes of `streamed_rows` are read in batches by a fresh process each, and its peak memory is taken.
    """

    rows: int = 1_000_000
    width: int = 512
    classes: int = 1_000
    rounds: int = 5
    streamed_rows: tuple[int, int] = (250_000, 1_000_000)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rows", "width", "classes", "rounds"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be 1 or more, but {getattr(self, name)} came")


def measure_statistics_speed(settings: SpeedSettings) -> dict[str, Any]:
    """Time one pass of `ClassStatistics.from_features` against X^T X in float64, and measure how its memory grows.

    Returns
    -------
    dict
        `seconds` of each arm in each round, with their minima and medians; `speed_against_product` and
        `speed_against_product_with_conversion` (1 = as fast as the bare product; higher = faster), by minima and as
        the median of the rounds' own ratios; `memory`: peak bytes beyond the process at rest for each streamed size.
    """
    memory = {str(rows): _in_fresh_process(rows, settings) for rows in settings.streamed_rows}
    features, labels = _draw(settings)
    arms: dict[str, Callable[[], float]] = {
        "statistics": lambda: _time_statistics(features, labels),
        "product": lambda: _time_product(features, convert_inside=False),
        "product_with_conversion": lambda: _time_product(features, convert_inside=True),
    }
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    loads = []
    for turn in range(settings.rounds):
        # The order turns, so that no arm always follows the same other one.
        for name in [*arms][turn % len(arms) :] + [*arms][: turn % len(arms)]:
            seconds[name].append(arms[name]())
        loads.append(os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"))
    result: dict[str, Any] = {
        "seconds": seconds,
        "minimum": {name: min(taken) for name, taken in seconds.items()},
        "median": {name: float(np.median(taken)) for name, taken in seconds.items()},
        "load_average": loads,
        "memory": memory,
        "memory_growth_bytes": memory[str(settings.streamed_rows[1])] - memory[str(settings.streamed_rows[0])],
    }
    for name in ("product", "product_with_conversion"):
        ratios = np.divide(seconds[name], seconds["statistics"])
        result[f"speed_against_{name}"] = {
            "by_minima": min(seconds[name]) / min(seconds["statistics"]),
            "median_of_rounds": float(np.median(ratios)),
        }
    return result


def _draw(settings: SpeedSettings) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(settings.seed)
    features = np.empty((settings.rows, settings.width), dtype=np.float32)
    for start in range(0, settings.rows, _BATCH):
        random.standard_normal(out=features[start : start + _BATCH], dtype=np.float32)
    return features, random.integers(0, settings.classes, settings.rows)


def _time_statistics(features: np.ndarray, labels: np.ndarray) -> float:
    start = time.perf_counter()
    ClassStatistics.from_features(features, labels)
    return time.perf_counter() - start


def _time_product(features: np.ndarray, *, convert_inside: bool) -> float:
    taken, total = 0.0, np.zeros((features.shape[1],) * 2)
    for first in range(0, len(features), _PRODUCT):
        rows = features[first : first + _PRODUCT]
        start = time.perf_counter()
        converted = rows.astype(np.float64)
        if not convert_inside:
            start = time.perf_counter()
        total += converted.T @ converted
        taken += time.perf_counter() - start
    return taken


def _batches(rows: int, settings: SpeedSettings) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(settings.seed)
    for start in range(0, rows, _BATCH):
        count = min(_BATCH, rows - start)
        features = random.standard_normal((count, settings.width), dtype=np.float32)
        yield features, random.integers(0, settings.classes, count)


def _in_fresh_process(rows: int, settings: SpeedSettings) -> int:
    # Peak memory never falls within a process, so that each size needs its own.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_stream_and_take_peak, rows, settings).result()


def _stream_and_take_peak(rows: int, settings: SpeedSettings) -> int:
    """Return by how many bytes the peak memory of this process grew while `rows` rows were streamed."""
    before = _peak_memory()
    ClassStatistics.from_batches(_batches(rows, settings))
    return _peak_memory() - before


def _peak_memory() -> int:
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: on Linux a new process takes over its parent's peak.
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
