"""Class-incremental learning on a pretrained backbone: classes come in steps with all their images, none comes back.

python recipes/class_incremental.py --config configs/fewshot/class_incremental.yaml --data ../shared
"""

from __future__ import annotations

import argparse
import json
import sys

from ncapps import config, persist
from ncapps.benchmarks.class_incremental import ClassIncrementalSettings, run_class_incremental
from ncapps.errors import InputError


def main() -> None:
    """Learn every set with every metric, and write the file."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--results", default="recipes/results/class_incremental.json", help="the file for the figures")
    own, rest = parser.parse_known_args()
    if {"-h", "--help"} & set(rest):
        parser.print_help()
    report = run_class_incremental(config.parse(ClassIncrementalSettings, rest), say=print)
    persist.write_text(own.results, json.dumps(report, indent=1) + "\n")
    print(f"written to {own.results}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
