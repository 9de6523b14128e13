"""`share_in_band`: how often a false-alarm rate holds when the images to calibrate on are drawn again and again."""

from __future__ import annotations

import numpy as np

from ncapps.conformal import check_scores, false_alarm_band, threshold
from ncapps.errors import InputError


def share_in_band(
    scores: np.ndarray, n_calibration: int, reject_rate: float, *, splits: int = 200, seed: int = 0
) -> float:
    """Return the share of random splits whose measured false-alarm rate lies in its 95 % beta-binomial band.

    Each split draws `n_calibration` images without replacement, takes the threshold from them and counts which of the
    others it refuses. Without ties that count depends on ranks alone: the splits are then independent, and 95 % of them
    or slightly more are expected in the band whatever the scores. Ties, as of a detector that saturates, cost some.
    With one seed the same images calibrate for every detector whose scores come in the same order of images.

    Parameters
    ----------
    scores : numpy.ndarray
        Scores of known images that nothing was fitted on, shape (images,); higher = known.
    n_calibration : int
        Images that each split calibrates on; the others are measured.
    reject_rate : float
        The false-alarm rate asked for, between 0 and 1.
    splits, seed : int
        How many splits, and the seed that all are drawn from.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    InputError
        If there are no splits, no image is left to measure, the calibration images can't hold the rate, or a score is
        NaN.
    """
    scores = check_scores(scores, "scores")
    measured = len(scores) - n_calibration
    if measured < 1:
        raise InputError(f"{n_calibration} of {len(scores)} images are to calibrate, which leaves none to measure")
    if splits < 1:
        raise InputError(f"splits must be 1 or more, but {splits} came")
    low, high = false_alarm_band(n_calibration, measured, reject_rate)
    ordered, rng = np.sort(scores), np.random.default_rng(seed)
    inside = 0
    for _ in range(splits):
        calibration = scores[rng.choice(len(scores), n_calibration, replace=False, shuffle=False)]
        cut = threshold(calibration, reject_rate)
        refused = np.searchsorted(ordered, cut) - np.count_nonzero(calibration < cut)
        inside += bool(low <= refused / measured <= high)
    return inside / splits
