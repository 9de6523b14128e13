"""What a generalized few-shot run finds: means over draws, the subject's paired lead pooled over sets, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ncapps.benchmarks.fscil_results import mean_interval

FIGURES = ("base", "new", "harmonic", "overall")
BINS = 15

Draws = Sequence[Mapping[str, Any]]


def calibration_bins(confidence: np.ndarray, right: np.ndarray) -> list[list[float]]:
    """Return images, sum of confidences, and images named right in each of BINS bins of equal width.

    Bins of many runs add up, and tell the calibration error of all images together.

    Examples
    --------
    >>> bins = calibration_bins(np.array([0.95, 0.99, 0.1]), np.array([True, False, False]))
    >>> round(pooled_calibration_error([bins]), 4)
    0.3467
    """
    own = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    sums = [np.bincount(own, weights=part, minlength=BINS) for part in (np.ones(len(own)), confidence, right)]
    return [part.tolist() for part in sums]


def pooled_calibration_error(bins: Sequence[Sequence[Sequence[float]]]) -> float:
    """Return the expected calibration error of all images whose bins came; 0 = perfect (Guo et al., ICML 2017, eq. 3).

    The bins weigh as many images as they hold.
    """
    images, confidence, right = np.sum(bins, axis=0)
    return float(np.abs(confidence - right).sum() / images.sum())


def report_figures(found: Mapping[str, Draws], subject: str, level: float) -> dict[str, Any]:
    """Return the tables, ready for JSON.

    Parameters
    ----------
    found : mapping of set name to sequence
        For each draw what each method found.
    subject : str
        The metric whose lead over each other is told.
    level : float
        What the intervals hold.

    Returns
    -------
    dict
        "sets": by set, method and shots FIGURES as [mean, low, high] over the draws. "pooled": by shots and method the
        harmonic mean's mean over sets and draws, and the subject's "lead" over it as [mean, low, high], by Student's t
        over the draws, each draw's lead being the mean over the sets. "calibration": by shots and method images and
        expected calibration error on new classes, all sets and draws pooled. "harmonic_means": of each draw. "knobs":
        by set and method those of the first draw.
    """
    names = list(next(iter(found.values()))[0])
    shots = list(next(iter(found.values()))[0][names[0]]["shots"])
    return {
        "subject": subject,
        "pooled": {count: _pooled(found, names, count, subject, level) for count in shots},
        "calibration": {count: _calibration(found, names, count) for count in shots},
        "sets": {
            name: {
                method: {
                    count: {figure: mean_interval(_values(draws, method, count, figure), level) for figure in FIGURES}
                    for count in shots
                }
                for method in names
            }
            for name, draws in found.items()
        },
        "harmonic_means": {
            name: {
                count: {method: _values(draws, method, count, "harmonic").tolist() for method in names}
                for count in shots
            }
            for name, draws in found.items()
        },
        "knobs": {name: {method: draws[0][method]["knobs"] for method in names} for name, draws in found.items()},
    }


def _values(draws: Draws, method: str, shots: str, figure: str) -> np.ndarray:
    return np.array([draw[method]["shots"][shots][figure] for draw in draws])


def _pooled(
    found: Mapping[str, Draws], names: list[str], shots: str, subject: str, level: float
) -> dict[str, dict[str, Any]]:
    by_draw = {
        name: np.mean([_values(draws, name, shots, "harmonic") for draws in found.values()], axis=0) for name in names
    }
    table: dict[str, dict[str, Any]] = {name: {"harmonic": float(values.mean())} for name, values in by_draw.items()}
    for name in names:
        if subject in by_draw and name != subject:
            table[name]["lead"] = mean_interval(by_draw[subject] - by_draw[name], level)
    return table


def _calibration(found: Mapping[str, Draws], names: list[str], shots: str) -> dict[str, dict[str, Any]]:
    table = {}
    for name in names:
        bins = [draw[name]["shots"][shots].get("bins") for draws in found.values() for draw in draws]
        if all(bins):
            each = {key: pooled_calibration_error([draw[name]["shots"][shots]["bins"] for draw in draws])
                    for key, draws in found.items()}  # fmt: skip
            images = int(np.sum([part[0] for part in bins]))
            table[name] = {"images": images, "error": pooled_calibration_error(bins), "by_set": each}
    return table
