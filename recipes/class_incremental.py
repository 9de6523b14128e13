"""Class-incremental learning on a pretrained backbone: classes come in steps with all their images, none comes back.

python recipes/class_incremental.py --config configs/fewshot/class_incremental.yaml --data ../shared
"""

from __future__ import annotations

import json
import sys

from ncapps import config, persist
from ncapps.benchmarks.class_incremental import ClassIncrementalSettings, run_class_incremental
from ncapps.errors import InputError


def main() -> None:
    """Learn every set with every metric, and write the file."""
    settings, results = config.parse_with_results(ClassIncrementalSettings, "recipes/results/class_incremental.json")
    report = run_class_incremental(settings, say=print)
    persist.write_text(results, json.dumps(report, indent=1) + "\n")
    print(f"written to {results}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
