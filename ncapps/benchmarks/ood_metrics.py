"""The figures of an OOD benchmark: AUROC by ranks, FPR at a TPR with its orientation said, AUPR of both sides."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from scipy.stats import rankdata

from ncapps.conformal import check_scores
from ncapps.errors import InputError

Positive = Literal["ood", "id"]


def rank_auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """Return the probability that a known image scores higher than an unknown one, ties counted half; 1 = perfect.

    The rank-sum statistic of Mann and Whitney (1947): one sort, no curve.

    Parameters
    ----------
    known, unknown : numpy.ndarray
        Scores, shape (images,); higher = more in-distribution; infinite ones are allowed.

    Raises
    ------
    InputError
        If a side is empty or a score is NaN.

    Examples
    --------
    >>> rank_auroc(np.array([0.9, 0.5]), np.array([0.5, 0.1]))
    0.875
    """
    known, unknown = _checked(known, unknown)
    ranks = rankdata(np.concatenate([known, unknown]))[: len(known)]
    return float((ranks.sum() - len(known) * (len(known) + 1) / 2) / (len(known) * len(unknown)))


def fpr_at_tpr(known: np.ndarray, unknown: np.ndarray, positive: Positive, tpr: float = 0.95) -> float:
    """Return the false-positive rate at the first threshold whose true-positive rate is `tpr` or more; 0 = perfect.

    It is exact: every score is a possible threshold. OpenOOD drops thresholds that lie on a straight piece of the ROC
    curve, and so tells a slightly larger figure at times.

    Parameters
    ----------
    known, unknown : numpy.ndarray
        Scores, shape (images,); higher = more in-distribution.
    positive : {"ood", "id"}
        "ood": the share of known images refused where 95 % of the unknown ones are found, as OpenOOD v1.5 tells it;
        "id": the share of unknown images accepted where 95 % of the known ones are. They differ widely.
    tpr : float
        The true-positive rate asked for, above 0 and up to 1.

    Raises
    ------
    InputError
        If a side is empty, a score is NaN, or `positive` or `tpr` is not one of these.

    Examples
    --------
    >>> known, unknown = np.arange(10.0, 20.0), np.array([1.0, 2.0, 3.0, 18.5])
    >>> fpr_at_tpr(known, unknown, "ood"), fpr_at_tpr(known, unknown, "id")
    (0.9, 0.25)
    """
    known, unknown = _checked(known, unknown)
    rank = needed(len(_side(known, unknown, positive)), tpr)
    if positive == "ood":
        return float(np.mean(known <= np.partition(unknown, rank - 1)[rank - 1]))
    return float(np.mean(unknown >= -np.partition(-known, rank - 1)[rank - 1]))


def aupr(known: np.ndarray, unknown: np.ndarray, positive: Positive) -> float:
    """Return the area under precision and recall by the trapezoid rule, as OpenOOD takes it; 1 = perfect.

    It is no average precision: straight lines between the points make it a little optimistic, and the share of
    positive images sets its floor, so figures of sets of other sizes do not compare.

    Parameters
    ----------
    known, unknown : numpy.ndarray
        Scores, shape (images,); higher = more in-distribution.
    positive : {"ood", "id"}
        "ood" is OpenOOD's AUPR_OUT, "id" its AUPR_IN.

    Raises
    ------
    InputError
        If a side is empty, a score is NaN, or `positive` is another word.

    Examples
    --------
    >>> aupr(np.array([3.0, 4.0]), np.array([1.0, 2.0]), "id")
    1.0
    """
    known, unknown = _checked(known, unknown)
    n_positive = len(_side(known, unknown, positive))
    scores = np.concatenate([known, unknown])
    is_positive = np.repeat([True, False], [len(known), len(unknown)])
    if positive == "ood":
        scores, is_positive = -scores, ~is_positive
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(is_positive[order])
    last_of_tie = np.append(scores[1:] != scores[:-1], True)
    hits, taken = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    recall = np.concatenate([[0.0], hits / n_positive])
    precision = np.concatenate([[1.0], hits / taken])
    return float(np.trapezoid(precision, recall))


def needed(images: int, tpr: float) -> int:
    """Return the fewest of `images` that are a share of `tpr` or more.

    Raises
    ------
    InputError
        If `tpr` is not above 0 and up to 1.
    """
    if not 0 < tpr <= 1:
        raise InputError(f"tpr is a share above 0 and up to 1, but {tpr} came; write 0.95 for 95 %")
    guess = math.ceil(tpr * images)
    # Divided as a ROC curve divides: 0.95 * 20 alone may round to either side of 19.
    return next(rank for rank in (guess - 1, guess, guess + 1) if rank >= 1 and rank / images >= tpr)


def _side(known: np.ndarray, unknown: np.ndarray, positive: str) -> np.ndarray:
    if positive not in ("ood", "id"):
        raise InputError(f"positive must be 'ood' or 'id', but {positive!r} came; OpenOOD v1.5 takes 'ood'")
    return unknown if positive == "ood" else known


def _checked(known: np.ndarray, unknown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(known) or not len(unknown):
        raise InputError(f"known and unknown images are needed, but {len(known)} and {len(unknown)} came")
    return check_scores(known, "known scores"), check_scores(unknown, "unknown scores")
