"""Measure the drift monitor's false alarms and delay on a config's real scores; features come from the cache.

python recipes/drift.py --config configs/ood/shared_cifar10.yaml --data ../shared
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ncapps import config, persist
from ncapps.benchmarks.drift_trials import DriftTrials, DriftTrialSettings, drift_trials
from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.ood_data import TaskFeatures, extract_task, open_task
from ncapps.benchmarks.ood_evaluation import make_detectors
from ncapps.benchmarks.ood_settings import OODSettings
from ncapps.errors import InputError


def main() -> None:
    """Run the trials of the config's subject on each network of its first task, and write the file."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--results", default="recipes/results/drift.json", help="the file for the figures")
    parser.add_argument("--runs", type=int, default=200, help="runs of each kind")
    own, rest = parser.parse_known_args()
    if {"-h", "--help"} & set(rest):
        parser.print_help()
    settings = config.parse(OODSettings, rest)
    trials = DriftTrialSettings(runs=own.runs, seed=settings.seed)
    task, networks = settings.tasks[0], []
    sources = open_task(task, settings)
    for network in task.networks:
        features = extract_task(task, network, sources, settings)
        found = run(features, settings, trials)
        networks.append({"network": network.name, **features.provenance, **{k: tell(v) for k, v in found.items()}})
        for calibration, figures in found.items():
            print(f"{network.name}, {calibration} calibration: {figures.false_alarm_share:.1%} of runs alarm")
            for name, change in figures.changes.items():
                print(f"  {name}: median delay {change.delay_median}, 95 % within {change.delay_95}")
    report = {
        "task": task.name,
        "detector": settings.subject,
        "settings": asdict(trials),
        "environment": environment(seed=settings.seed),
        "networks": networks,
    }
    persist.write_text(Path(own.results), json.dumps(report, indent=1) + "\n")
    print(f"written to {own.results}")


def run(features: TaskFeatures, settings: OODSettings, trials: DriftTrialSettings) -> dict[str, DriftTrials]:
    """Fit the subject, score every set once, and try it with fresh calibration draws and with the given split."""
    detector = make_detectors(replace(settings, detectors=[settings.subject]))[settings.subject]
    detector.fit(features.fit.values, features.fit.labels, head=features.head, X_val=features.validation.values)
    validation, report = (detector.score_samples(part.values) for part in (features.validation, features.report))
    unknown = {name: detector.score_samples(part.values) for name, part in features.unknown.items()}
    return {
        name: drift_trials(validation, report, unknown, trials, fresh=fresh)
        for name, fresh in (("fresh", True), ("given", False))
    }


def tell(found: DriftTrials) -> dict[str, Any]:
    """Return the figures as plain data, the share with its runs."""
    return {**asdict(found), "false_alarm_share": found.false_alarm_share}


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
