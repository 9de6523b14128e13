"""What an OOD evaluation finds: each detector's figures, and the subject's paired lead over every other one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ncapps.benchmarks.bootstrap import interval

METRICS = ("auroc", "fpr95_ood", "fpr95_id", "aupr_in", "aupr_out")
"""What is told of each set and group; the first three with an interval."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectorRun:
    """What one detector did.

    Parameters
    ----------
    name : str
        Its name in `DETECTORS`.
    sets, groups : dict
        METRICS of each unknown set, and their unweighted means over each group; a figure is [value] or
        [value, low, high].
    decision : list of dict
        For each false-alarm rate the refused share of the known images, its band, that of each unknown set, and the
        share of random splits into validation and reporting images in which the known ones' lies in the band.
    fit_seconds, score_seconds : float
        Seconds to fit, and to score the known reporting images.
    replicates : dict
        AUROC of each group on every resample, shape (resamples,).
    scores : dict
        Scores of the known reporting set ("known") and of each unknown set.
    threshold : float
        The score below which an image is refused at the rate nearest to 5 %.
    """

    name: str
    sets: dict[str, dict[str, list[float]]]
    groups: dict[str, dict[str, list[float]]]
    decision: list[dict[str, Any]]
    fit_seconds: float
    score_seconds: float
    replicates: dict[str, np.ndarray] = field(repr=False)
    scores: dict[str, np.ndarray] = field(repr=False)
    threshold: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """All detectors on one network.

    Parameters
    ----------
    runs : list of DetectorRun
        By AUROC on the first group there is (near, far, development), best first.
    failed : dict
        Detectors that could not run on these features, and why.
    comparison : dict
        For each group: the subject's AUROC, the best other detector, and the paired difference to each other one.
    accuracy : float or None
        Share of the known reporting images that the head names right; None where the head has other classes.
    groups : dict
        The group of each unknown set.
    """

    runs: list[DetectorRun]
    failed: dict[str, str]
    comparison: dict[str, dict[str, Any]]
    accuracy: float | None
    groups: dict[str, str]


def compare(runs: list[DetectorRun], subject: str, level: float) -> dict[str, dict[str, Any]]:
    """Compare the subject's AUROC with every other detector's, group by group, on the same resampled images.

    Returns
    -------
    dict
        By group: `auroc` of the subject, `best_other` and its `best_other_auroc`, `difference` to it as
        [value, low, high], and `differences` to all others. Empty where the subject or another detector is missing.
    """
    by_name = {run.name: run for run in runs}
    mine = by_name.pop(subject, None)
    if mine is None or not by_name:
        return {}
    found = {}
    for group, figures in mine.groups.items():
        others = sorted(by_name.values(), key=lambda run: (-run.groups[group]["auroc"][0], run.name))
        value = figures["auroc"][0]
        differences = {
            other.name: [
                value - other.groups[group]["auroc"][0],
                *interval(mine.replicates[group] - other.replicates[group], level),
            ]
            for other in others
        }
        best = others[0]
        found[group] = {
            "auroc": value,
            "best_other": best.name,
            "best_other_auroc": best.groups[group]["auroc"][0],
            "difference": differences[best.name],
            "differences": differences,
        }
    return found
