"""The quickstart's figures, and the files that hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncapps import persist
from ncapps.collapse import CollapseReport
from ncapps.training import TrainResult

if TYPE_CHECKING:
    from ncapps.quickstart.run import Quickstart


def headline(collapse: CollapseReport, trained: TrainResult, before: dict, after: dict, pruned: dict) -> dict[str, Any]:
    """Return the figures of results.json, all on held-out images but for the collapse measures."""
    macs_ratio, accuracy_pruned = pruned["chosen"]
    return {
        "accuracy_known": before["accuracy"],
        "accuracy_added": after["accuracy_added"],
        "accuracy_added_deviation": after["accuracy_added_deviation"],
        "accuracy_known_after_adding": after["accuracy_known"],
        "accuracy_all": after["accuracy_all"],
        "harmonic_mean": after["harmonic_mean"],
        "undo_is_exact": after["undo_is_exact"],
        "ood_auroc": before["auroc"],
        "ood_auroc_each": before["auroc_each"],
        "ood_detected": before["detected"],
        "false_alarm_rate": before["false_alarm_rate"],
        "false_alarm_rate_added": after["false_alarm_rate_added"],
        "macs_ratio": macs_ratio,
        "accuracy_dense": pruned["dense"],
        "accuracy_pruned": accuracy_pruned,
        "prune_seconds": pruned["seconds"],
        "train_accuracy": trained.history[-1].train_accuracy,
        "train_seconds": sum(record.seconds for record in trained.history),
        "nc1": collapse.nc1,
        "nc2_equiangularity": collapse.nc2_equiangularity,
        "nc3": collapse.nc3,
        "nc4_agreement": collapse.nc4_agreement,
        "collapse": collapse.as_dict(),
    }


def write_results(run: Quickstart, folder: str | Path) -> None:
    """Write results.json and report.html into a folder, each whole or not at all."""
    from ncapps.report.quickstart import quickstart_page

    folder = Path(folder)
    record = {**run.results, "settings": run.settings, "environment": run.environment}
    persist.write_text(folder / "results.json", json.dumps(record, indent=2) + "\n")
    quickstart_page(run).write(folder / "report.html")


def summary(results: dict[str, Any]) -> str:
    """Return the closing summary: a line a finding, in plain words."""
    rate = results["false_alarm_rate"]
    each = ", ".join(f"{name} {value:.3f}" for name, value in results["ood_auroc_each"].items())
    return "\n".join(
        [
            f"known digits     {results['accuracy_known']:.1%} right on held-out images of 0 to 7",
            f"added digits     {results['accuracy_added']:.1%} right on 8 and 9, from five images each, among all ten; "
            f"the known ones keep {results['accuracy_known_after_adding']:.1%}",
            f"unknown images   AUROC {results['ood_auroc']:.3f} ({each})",
            f"false alarms     {rate['measured']:.1%} of known images refused; asked for at most {rate['target']:.0%}, "
            f"band {rate['low']:.1%} to {rate['high']:.1%}",
            f"pruned           {results['accuracy_pruned']:.1%} right at {results['macs_ratio']:.0%} of operations, "
            f"{results['accuracy_dense']:.1%} before",
            f"collapse         NC1 {results['nc1']:.4f}, NC2 {results['nc2_equiangularity']:.3f}, "
            f"NC3 {results['nc3']:.3f}, NC4 {results['nc4_agreement']:.1%}",
            f"time             {results['seconds']:.0f} s, of which training {results['train_seconds']:.0f} s",
        ]
    )
