"""Few-shot class-incremental learning: every prototype metric and the published heads on one backbone's features.

python recipes/fscil.py --config configs/fewshot/fscil_cifar100_shared.yaml
python recipes/fscil.py --config configs/fewshot/fscil_cub200.yaml --data ./data
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ncapps import config, persist
from ncapps.benchmarks.fscil_protocol import run_fscil
from ncapps.benchmarks.fscil_settings import FSCILSettings
from ncapps.errors import InputError


def main() -> None:
    """Write the figures to `--results`, and print the subject's lead over every other head."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--results", default="recipes/results", help="folder for CONFIG.json")
    own, rest = parser.parse_known_args()
    if {"-h", "--help"} & set(rest):
        parser.print_help()
    settings = config.parse(FSCILSettings, rest)
    name = next((Path(word).stem for word in rest if word.endswith((".yaml", ".yml"))), "fscil")
    results = run_fscil(settings, say=print)
    path = Path(own.results) / f"{name}.json"
    persist.write_text(path, json.dumps(results, indent=1) + "\n")
    print(f"written to {path}")
    for head, found in results["comparison"].items():
        lead, low, high = (100 * value for value in found["harmonic"])
        print(f"last harmonic mean, {results['subject']} over {head}: {lead:+.2f} [{low:+.2f}, {high:+.2f}] points")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
