"""Measure every OOD detector on the networks and sets of a config; nothing is downloaded.

python recipes/ood.py --config configs/ood/shared_cifar10.yaml --data ../shared --out runs/ood/shared_cifar10
python recipes/ood.py --config configs/ood/cifar10.yaml --root ./data
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ncapps import config
from ncapps.benchmarks.ood_protocol import run_ood
from ncapps.benchmarks.ood_settings import OODSettings
from ncapps.errors import InputError
from ncapps.report.ood import ood_page


def main() -> None:
    """Write the figures beside this recipe, and the report with a copy of them to `--out`."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--out", help="folder for report.html, results.json and results.csv")
    parser.add_argument("--results", default="recipes/results", help="folder for ood_CONFIG.json and .csv")
    own, rest = parser.parse_known_args()
    if {"-h", "--help"} & set(rest):
        parser.print_help()
    settings = config.parse(OODSettings, rest)
    name = next((Path(word).stem for word in rest if word.endswith((".yaml", ".yml"))), "run")
    results = run_ood(settings, say=print)
    for path in (Path(own.results) / f"ood_{name}", *([Path(own.out) / "results"] if own.out else [])):
        results.write_json(path.with_suffix(".json"))
        results.write_csv(path.with_suffix(".csv"))
        print(f"written to {path}.json and .csv")
    if own.out:
        ood_page(results).write(Path(own.out) / "report.html")
        print(f"written to {own.out}/report.html")
    for network in results.networks:
        for group, found in network.evaluation.comparison.items():
            lead, low, high = found["difference"]
            print(
                f"{network.task}, {network.network}, {group}: {settings.subject} {found['auroc']:.4f}, best other "
                f"{found['best_other']} {found['best_other_auroc']:.4f}, lead {lead:+.4f} [{low:+.4f}, {high:+.4f}]"
            )


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
