"""The OOD benchmark: networks, detectors and unknown sets from settings to figures, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncapps import config
from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.ood_data import extract_task, open_task
from ncapps.benchmarks.ood_evaluation import evaluate
from ncapps.benchmarks.ood_results import METRICS, DetectorRun, Evaluation
from ncapps.benchmarks.ood_settings import OODSettings
from ncapps.persist import write_text

_DIGITS = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkResult:
    """One network on one task.

    Parameters
    ----------
    task, network : str
        Their names.
    evaluation : Evaluation
        Every detector's figures.
    provenance : dict
        The weights' hash, and each set's number of images, fingerprint and number of unreadable images.
    """

    task: str
    network: str
    evaluation: Evaluation
    provenance: dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class OODResults:
    """A whole benchmark, ready to be written.

    Parameters
    ----------
    settings : OODSettings
        What was asked for.
    networks : list of NetworkResult
        In the order of the settings.
    environment : dict
        Versions and machine.
    """

    settings: OODSettings
    networks: list[NetworkResult]
    environment: dict[str, Any]

    def write_json(self, path: str | Path) -> None:
        """Write settings, environment, data hashes and all figures; one detector a line, so that changes show."""
        write_text(path, _lines(self.as_dict()) + "\n")

    def write_csv(self, path: str | Path) -> None:
        """Write one row for each network, detector and unknown set or group, in the order of the tables."""
        rows = list(self.rows())
        text = io.StringIO(newline="")
        columns = list(dict.fromkeys(column for row in rows for column in row))
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(path, text.getvalue())

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as plain data, rounded to six digits after the point."""
        return {
            "settings": config.to_dict(self.settings),
            "environment": self.environment,
            "networks": [_rounded(_network(result)) for result in self.networks],
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield flat rows: for each detector its groups, then the known reporting images, then its unknown sets."""
        for result in self.networks:
            groups = result.evaluation.groups
            for place, run in enumerate(result.evaluation.runs, 1):
                where = {"task": result.task, "network": result.network, "detector": run.name, "place": place}
                for group, figures in run.groups.items():
                    members = [name for name in groups if groups[name] == group]
                    yield {**where, "group": group, "set": "mean", **_flat(figures), **_refused(run, members)}
                blank = dict.fromkeys(_flat(next(iter(run.sets.values()))), "")
                measured = {**_refused(run, []), **_splits(run), **_seconds(run)}
                yield {**where, "group": "known", "set": "report", **blank, **measured}
                for name, figures in run.sets.items():
                    yield {**where, "group": groups[name], "set": name, **_flat(figures), **_refused(run, [name])}


def run_ood(
    settings: OODSettings, *, say: Callable[[str], object] = lambda _line: None, progress: bool = True
) -> OODResults:
    """Run an OOD benchmark: extract (or read from the cache), fit, score, compare.

    Parameters
    ----------
    settings : OODSettings
        What to measure.
    say : callable
        Takes one line of progress at a time.
    progress : bool
        Show a bar while features are extracted.

    Raises
    ------
    InputError
        If images, weights or a list are missing, or a setting is not what it has to be.
    """
    opened = [(task, open_task(task, settings)) for task in settings.tasks]
    networks = []
    for task, sources in opened:
        for network in task.networks:
            say(f"{task.name}, {network.name}: features")
            features = extract_task(task, network, sources, settings, progress=progress)
            evaluation = evaluate(features, settings, say)
            networks.append(
                NetworkResult(
                    task=task.name, network=network.name, evaluation=evaluation, provenance=features.provenance
                )
            )
    return OODResults(settings=settings, networks=networks, environment=environment(seed=settings.seed))


def _network(result: NetworkResult) -> dict[str, Any]:
    found = result.evaluation
    return {
        "task": result.task,
        "network": result.network,
        **result.provenance,
        "accuracy": found.accuracy,
        "comparison": found.comparison,
        "failed": found.failed,
        "detectors": [
            {"detector": run.name, "groups": run.groups, "sets": run.sets, "decision": run.decision, **_seconds(run)}
            for run in found.runs
        ],
    }


def _seconds(run: DetectorRun) -> dict[str, float]:
    return {
        "fit_seconds": round(run.fit_seconds, _DIGITS),
        "score_seconds": round(run.score_seconds, _DIGITS),
        "images_per_second": round(len(run.scores["known"]) / max(run.score_seconds, 1e-9)),
    }


def _refused(run: DetectorRun, members: list[str]) -> dict[str, float]:
    """Return the refused share at each rate: the mean over unknown sets, or of the known images where none is named."""
    found = {}
    for row in run.decision:
        if "refused" in row:
            shares = [row["unknown"][name] for name in members] or [row["refused"]]
            found[f"refused_at_{row['reject_rate']:g}"] = round(sum(shares) / len(shares), _DIGITS)
    return found


def _splits(run: DetectorRun) -> dict[str, float]:
    """Return at each rate the share of random splits whose known images are refused as rarely as promised."""
    rows = [row for row in run.decision if "refused" in row]
    return {f"splits_in_band_at_{row['reject_rate']:g}": round(row["splits_in_band"], _DIGITS) for row in rows}


def _flat(figures: dict[str, list[float]]) -> dict[str, float]:
    flat = {}
    for metric in METRICS:
        names = (metric, f"{metric}_low", f"{metric}_high")
        flat |= dict(zip(names, (round(value, _DIGITS) for value in figures[metric]), strict=False))
    return flat


def _rounded(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _rounded(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_rounded(value) for value in tree]
    return round(tree, _DIGITS) if isinstance(tree, float) else tree


def _lines(tree: Any, depth: int = 0) -> str:
    """Return JSON with a line for each small value and for each detector, instead of for each number."""
    compact = json.dumps(tree)
    small = len(compact) <= 100 or (isinstance(tree, dict) and "detector" in tree)
    if small or not isinstance(tree, (dict, list)):
        return compact
    pad = " " * (depth + 1)
    if isinstance(tree, dict):
        parts = [f"{pad}{json.dumps(key)}: {_lines(value, depth + 1)}" for key, value in tree.items()]
    else:
        parts = [pad + _lines(value, depth + 1) for value in tree]
    start, end = "{}" if isinstance(tree, dict) else "[]"
    return f"{start}\n" + ",\n".join(parts) + f"\n{' ' * depth}{end}"
