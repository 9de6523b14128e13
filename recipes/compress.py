"""Prune a trained network without training and measure it on images it has not seen; writes one JSON file.

python recipes/compress.py --config configs/compress/resnet56_cifar10.yaml --data_root ../shared
"""

from __future__ import annotations

import json
import logging

from ncapps import config, persist
from ncapps.benchmarks.pruning import PruningSettings, measure_pruning


def main(settings: PruningSettings) -> None:
    """Run every combination and write the figures."""
    persist.write_text(settings.output, json.dumps(measure_pruning(settings), indent=1) + "\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(config.parse(PruningSettings))
