"""From one network's features to the figures of every detector: fit, score, calibrate, measure, compare."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ncapps.arrays import native
from ncapps.benchmarks.bootstrap import PairedBootstrap, Replicates, interval
from ncapps.benchmarks.coverage import share_in_band
from ncapps.benchmarks.metrics import accuracy
from ncapps.benchmarks.ood_data import TaskFeatures
from ncapps.benchmarks.ood_metrics import aupr, fpr_at_tpr, rank_auroc
from ncapps.benchmarks.ood_results import METRICS, DetectorRun, Evaluation, compare
from ncapps.benchmarks.ood_settings import GROUPS, OODSettings
from ncapps.config import did_you_mean
from ncapps.conformal import check_scores, false_alarm_band, images_needed
from ncapps.errors import InputError
from ncapps.ood import DETECTORS, Detector


def evaluate(
    features: TaskFeatures, settings: OODSettings, say: Callable[[str], object] = lambda _line: None
) -> Evaluation:
    """Fit, score and compare the detectors; those that refuse the data are listed with their reason.

    Raises
    ------
    InputError
        If a detector's name or setting is unknown, or none could run.
    """
    detectors = make_detectors(settings)
    sizes = {name: len(found) for name, found in features.unknown.items()}
    bootstrap = PairedBootstrap(len(features.report), sizes, resamples=settings.resamples, seed=settings.seed)
    runs, failed = [], {}
    for name, detector in detectors.items():
        try:
            runs.append(_run(name, detector, features, settings, bootstrap))
        except InputError as error:
            failed[name] = str(error)
        told = failed.get(name) or ", ".join(f"{g} {m['auroc'][0]:.4f}" for g, m in runs[-1].groups.items())
        say(f"{name}: {told}")
    if not runs:
        raise InputError(f"no detector could run; the first said: {next(iter(failed.values()))}")
    first = next(group for group in GROUPS if group in runs[0].groups)
    runs.sort(key=lambda run: (-run.groups[first]["auroc"][0], run.name))
    return Evaluation(
        runs=runs,
        failed=failed,
        comparison=compare(runs, settings.subject, settings.level),
        accuracy=_accuracy(features),
        groups=features.groups,
    )


def make_detectors(settings: OODSettings) -> dict[str, Detector]:
    """Return the detectors that the settings ask for, by name, not yet fitted.

    Raises
    ------
    InputError
        If a name or an argument is unknown.
    """
    names = settings.detectors or list(DETECTORS)
    for name in (*names, *settings.detector_settings):
        if name not in DETECTORS:
            raise InputError(f"there is no detector {name!r}{did_you_mean(name, list(DETECTORS))}")
    made = {}
    for name in names:
        try:
            made[name] = DETECTORS[name](**settings.detector_settings.get(name, {}))
        except TypeError as error:
            raise InputError(f"detector_settings of {name}: {error}") from None
    return made


def _run(
    name: str, detector: Detector, features: TaskFeatures, settings: OODSettings, bootstrap: PairedBootstrap
) -> DetectorRun:
    start = time.perf_counter()
    detector.fit(features.fit.values, features.fit.labels, head=features.head, X_val=features.validation.values)
    fitted = time.perf_counter()
    known = check_scores(detector.score_samples(features.report.values), "known scores")
    scored = time.perf_counter()
    unknown = {
        key: check_scores(detector.score_samples(found.values), f"{key} scores")
        for key, found in features.unknown.items()
    }
    replicates = bootstrap.replicates(known, unknown)
    sets = {key: _figures(known, scores, replicates[key], settings.level) for key, scores in unknown.items()}
    groups, group_auroc = _group_figures(sets, replicates, features.groups, settings.level)
    decision, threshold = _decide(detector, features, known, unknown, settings.reject_rates)
    return DetectorRun(
        name=name,
        sets=sets,
        groups=groups,
        decision=decision,
        fit_seconds=fitted - start,
        score_seconds=scored - fitted,
        replicates=group_auroc,
        scores={"known": known, **unknown},
        threshold=threshold,
    )


def _figures(known: np.ndarray, unknown: np.ndarray, found: Replicates, level: float) -> dict[str, list[float]]:
    return {
        "auroc": [rank_auroc(known, unknown), *interval(found.auroc, level)],
        "fpr95_ood": [fpr_at_tpr(known, unknown, "ood"), *interval(found.fpr_ood, level)],
        "fpr95_id": [fpr_at_tpr(known, unknown, "id"), *interval(found.fpr_id, level)],
        "aupr_in": [aupr(known, unknown, "id")],
        "aupr_out": [aupr(known, unknown, "ood")],
    }


def _group_figures(
    sets: Mapping[str, dict[str, list[float]]], found: Mapping[str, Replicates], groups: Mapping[str, str], level: float
) -> tuple[dict[str, dict[str, list[float]]], dict[str, np.ndarray]]:
    """Return the unweighted means over each group's sets, and the group's AUROC on every resample."""
    figures, aurocs = {}, {}
    for group in (group for group in GROUPS if group in groups.values()):
        members = [name for name in sets if groups[name] == group]
        means = {metric: [float(np.mean([sets[name][metric][0] for name in members]))] for metric in METRICS}
        resampled = {
            "auroc": np.mean([found[name].auroc for name in members], axis=0),
            "fpr95_ood": np.mean([found[name].fpr_ood for name in members], axis=0),
            "fpr95_id": np.mean([found[name].fpr_id for name in members], axis=0),
        }
        for metric, values in resampled.items():
            means[metric] += interval(values, level)
        figures[group], aurocs[group] = means, resampled["auroc"]
    return figures, aurocs


def _decide(
    detector: Detector,
    features: TaskFeatures,
    known: np.ndarray,
    unknown: Mapping[str, np.ndarray],
    rates: tuple[float, ...],
) -> tuple[list[dict[str, Any]], float]:
    """Return what is refused at each rate that the validation images can hold, and the threshold nearest to 5 %."""
    held_out, rows, thresholds = len(features.validation), [], {}
    pooled = np.concatenate([detector.score_samples(features.validation.values), known])
    for rate in sorted(rates):
        if images_needed(rate) > held_out:
            rows.append({"reject_rate": rate, "reason": f"{held_out} validation images can't hold this rate"})
            continue
        if thresholds:
            detector.set_reject_rate(rate)
        else:
            detector.calibrate(features.validation.values, rate)
        thresholds[rate] = detector.offset_
        low, high = false_alarm_band(held_out, len(known), rate)
        refused = float(np.mean(known < detector.offset_))
        rows.append(
            {
                "reject_rate": rate,
                "refused": refused,
                "band": [low, high],
                "in_band": low <= refused <= high,
                "splits_in_band": share_in_band(pooled, held_out, rate),
                "unknown": {name: float(np.mean(scores < detector.offset_)) for name, scores in unknown.items()},
            }
        )
    nearest = min(thresholds, key=lambda rate: abs(rate - 0.05), default=None)
    return rows, float("nan") if nearest is None else float(thresholds[nearest])


def _accuracy(features: TaskFeatures) -> float | None:
    if features.head is None or features.report.labels is None:
        return None
    logits = np.asarray(features.head(features.report.values))
    names = np.asarray([native(name) for name in features.fit.classes])
    return accuracy(names[logits.argmax(axis=1)], features.report.labels)
