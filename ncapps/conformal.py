"""Conformal p-values and thresholds: at most the asked share of known images is refused, whatever the scores."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import betabinom

from ncapps.errors import InputError


def p_values(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Return (1 + number of calibration scores at or below) / (n + 1) for each score, in 1 / (n + 1)..1.

    Small = unlike the known images. For an image exchangeable with the calibration images P(p <= a) <= a
    (Vovk, Gammerman and Shafer 2005, ch. 2).

    Raises
    ------
    InputError
        If a score is NaN.
    """
    ordered = np.sort(check_scores(calibration, "calibration scores"))
    return (1 + np.searchsorted(ordered, check_scores(scores, "scores"), side="right")) / (len(ordered) + 1)


def threshold(calibration: np.ndarray, reject_rate: float) -> float:
    """Return the score below which an image is refused, so that p <= reject_rate just when score < threshold.

    Raises
    ------
    InputError
        If the rate is outside 0..1, or so small that the calibration images can't tell it, or a score is NaN.
    """
    rank = _rank(len(calibration), reject_rate)
    return float(np.partition(check_scores(calibration, "calibration scores"), rank - 1)[rank - 1])


def benjamini_hochberg(p_values: np.ndarray, rate: float) -> np.ndarray:
    """Return which hypotheses are rejected, shape (images,), so that of these at most `rate` are true on average.

    The largest k with p_(k) <= k rate / n, and all p-values up to it (Benjamini and Hochberg 1995, eq. 1).

    Raises
    ------
    InputError
        If the rate is outside 0..1.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    check_rate(rate, "the false-discovery rate is the share of the images called unknown that may be known")
    ordered = np.sort(p_values)
    passed = np.flatnonzero(ordered <= np.arange(1, len(ordered) + 1) * rate / max(len(ordered), 1))
    return p_values <= ordered[passed[-1]] if len(passed) else np.zeros(len(p_values), dtype=bool)


def images_needed(reject_rate: float) -> int:
    """Return the fewest calibration images that can hold a false-alarm rate."""
    return math.ceil(1 / reject_rate - 1 - 1e-9)


def check_rate(rate: float, meaning: str = "reject_rate is the share of known images that may be refused") -> None:
    """Raise InputError unless 0 < rate < 1."""
    if not 0 < rate < 1:
        raise InputError(f"{meaning}, between 0 and 1, but {rate} came; write 0.05 for 5 %")


def false_alarm_band(n_calibration: int, n_images: int, reject_rate: float, level: float = 0.95) -> tuple[float, float]:
    """Return the band in which the measured false-alarm rate of `n_images` known images lies with probability `level`.

    The number refused is beta-binomial: both the calibration and the tested images are random draws.

    Raises
    ------
    InputError
        If the rate is outside 0..1, or so small that the calibration images can't tell it.
    """
    rank = _rank(n_calibration, reject_rate)
    law = betabinom(n_images, rank, n_calibration + 1 - rank)
    low, high = law.ppf((1 - level) / 2), law.ppf((1 + level) / 2)
    return float(low / n_images), float(high / n_images)


def check_scores(scores: np.ndarray, name: str) -> np.ndarray:
    """Return scores as float64; NaN is refused, for it would sort above every score and count as known."""
    scores = np.asarray(scores, dtype=np.float64)
    if np.isnan(scores).any():
        raise InputError(f"{int(np.isnan(scores).sum())} of {scores.size} {name} are NaN; are the features finite?")
    return scores


def _rank(n_calibration: int, reject_rate: float) -> int:
    """Return which of the sorted calibration scores is the threshold, counted from 1."""
    check_rate(reject_rate)
    # The largest rank with rank / (n + 1) <= rate, divided as `p_values` does: 0.29 * 100 alone is 28.999...
    guess = math.floor(reject_rate * (n_calibration + 1))
    rank = next(rank for rank in (guess + 1, guess, guess - 1) if rank / (n_calibration + 1) <= reject_rate)
    if rank < 1:
        possible = math.ceil(1e6 / (n_calibration + 1)) / 1e6
        raise InputError(
            f"{n_calibration} calibration images can't hold a false-alarm rate of {reject_rate:g}: "
            f"{images_needed(reject_rate)} or more are needed, or a rate of {possible:g} or more"
        )
    return rank
