"""Prune an ImageNet network on photos without labels and ask both networks about others; writes one JSON file.

python recipes/compress_photos.py --config configs/compress/mobilenetv2_photos.yaml --data_root ../shared
"""

from __future__ import annotations

import json
import logging

from ncapps import config, persist
from ncapps.benchmarks.photo_pruning import PhotoPruningSettings, measure_photo_pruning


def main(settings: PhotoPruningSettings) -> None:
    """Prune to each target and write the figures."""
    persist.write_text(settings.output, json.dumps(measure_photo_pruning(settings), indent=1) + "\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(config.parse(PhotoPruningSettings))
