"""Generalized few-shot: classes with many images and new ones with 1 or 5 in one label space, every metric and easyfsl.

python recipes/few_shot.py --config configs/fewshot/generalized.yaml --data ../shared
"""

from __future__ import annotations

import json
import sys

from ncapps import config, persist
from ncapps.benchmarks.generalized_few_shot_protocol import run_generalized_few_shot
from ncapps.benchmarks.generalized_few_shot_settings import GeneralizedFewShotSettings
from ncapps.errors import InputError


def main() -> None:
    """Run all draws, write the file, and print each metric's harmonic mean and the subject's lead over it."""
    settings, results = config.parse_with_results(GeneralizedFewShotSettings, "recipes/results/few_shot.json")
    report = run_generalized_few_shot(settings, say=print)
    persist.write_text(results, json.dumps(report, indent=1) + "\n")
    for shots, table in report["pooled"].items():
        for name, found in sorted(table.items(), key=lambda item: -item[1]["harmonic"]):
            lead = found.get("lead")
            told = (
                "{:+.2f} [{:+.2f}, {:+.2f}] behind".format(*(100 * value for value in lead)) if lead else "the subject"
            )
            error = report["calibration"][shots].get(name)
            calibration = f", calibration error {error['error']:.3f} on {error['images']} images" if error else ""
            print(f"{shots} shots, {name:<30}{100 * found['harmonic']:6.2f}, {told}{calibration}")
    print(f"written to {results}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
