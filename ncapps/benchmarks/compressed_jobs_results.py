"""One table of all jobs: the dense network, the compressed ones, and their paired difference with an interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ncapps.benchmarks.bootstrap import interval
from ncapps.benchmarks.compressed_jobs_run import JobsDone
from ncapps.benchmarks.fscil_results import mean_interval
from ncapps.transfer.estimate import Estimate

Row = dict[str, Any]


def jobs_table(dense: JobsDone, small: Sequence[JobsDone], level: float) -> list[Row]:
    """Return one row a figure, ready for JSON; all in 0..1, higher = better.

    Returns
    -------
    list of dict
        "figure"; "dense"; "small", the mean over the compressed networks; "each" of these; "difference", small less
        dense as [value, low, high]: of the accuracy by Student's t over the images, of few-shot figures by Student's t
        over the draws, of the AUROC by a bootstrap of the images. Both networks see the same images, draws and
        resamples, so that what they share cancels.
    """
    rows = [_paired("accuracy", dense, small, lambda done: done.right, level)]
    for name in ("harmonic", "base", "new"):
        rows.append(_paired(f"few-shot {name}", dense, small, lambda done, key=name: done.few_shot[key], level))
    for detector, run in dense.detectors.items():
        rows += [_group(detector, group, dense, small, level) for group in run.groups]
    return rows


def rank_row(dense: Estimate, small: Sequence[Estimate], level: float) -> Row:
    """Return the row of the score that ranks backbones, as `jobs_table` does."""
    mean = Estimate(replicates=np.mean([one.replicates for one in small], axis=0), overlap=dense.overlap)
    return {
        "figure": "pick a backbone, held-out classes",
        "dense": dense.value,
        "small": mean.value,
        "each": [one.value for one in small],
        "difference": [mean.value - dense.value, *mean.minus(dense).interval(level)],
    }


def sets_table(done: JobsDone) -> dict[str, dict[str, float]]:
    """Return the AUROC of each unknown set by detector."""
    return {
        name: {key: figures["auroc"][0] for key, figures in run.sets.items()} for name, run in done.detectors.items()
    }


def _paired(
    figure: str, dense: JobsDone, small: Sequence[JobsDone], values: Callable[[JobsDone], np.ndarray], level: float
) -> Row:
    before, after = values(dense), [values(one) for one in small]
    return {
        "figure": figure,
        "dense": float(before.mean()),
        "small": float(np.mean(after)),
        "each": [float(one.mean()) for one in after],
        "difference": mean_interval(np.mean(after, axis=0) - before, level),
    }


def _group(detector: str, group: str, dense: JobsDone, small: Sequence[JobsDone], level: float) -> Row:
    before, after = dense.detectors[detector], [one.detectors[detector] for one in small]
    each = [run.groups[group]["auroc"][0] for run in after]
    shift = np.mean([run.replicates[group] for run in after], axis=0) - before.replicates[group]
    value = before.groups[group]["auroc"][0]
    return {
        "figure": f"AUROC {group}, {detector}",
        "dense": value,
        "small": float(np.mean(each)),
        "each": each,
        "difference": [float(np.mean(each)) - value, *interval(shift, level)],
    }
