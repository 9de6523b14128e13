"""Reproduce the accuracies of the shared CIFAR-10 ResNets through the extractor: 91.7 % and 93.3 %.

python recipes/reproduce_cifar.py --data ../shared --output recipes/results/reproduce_cifar.json
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ncapps import config, persist
from ncapps.benchmarks.environment import environment
from ncapps.errors import InputError
from ncapps.features import FeatureExtractor, open_images


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where the images and weights lie, and the file for the results."""

    data: str = "../shared"
    output: str = "recipes/results/reproduce_cifar.json"
    precision: str = "float32"
    depths: tuple[int, ...] = (20, 56)


def main(recipe: Recipe) -> None:
    """Classify `cifar10_test.zip` with each network and write the accuracies."""
    root = Path(recipe.data)
    images = open_images(root / "data" / "cifar10_test.zip")
    report = {"settings": asdict(recipe), "images": images.fingerprint(), "environment": environment(), "results": []}
    for depth in recipe.depths:
        weights = root / "models" / f"cifar10_resnet{depth}.safetensors"
        extractor = FeatureExtractor(f"cifar_resnet{depth}", checkpoint=weights, precision=recipe.precision)
        start = time.perf_counter()
        features = extractor.extract(images)
        seconds = time.perf_counter() - start
        if extractor.classes is None or features.logits is None or features.labels is None:
            raise InputError(f"{weights} names no classes")
        accuracy = float((np.array(extractor.classes)[features.logits.argmax(1)] == features.labels).mean())
        result = {"depth": depth, "accuracy": accuracy, "images": len(features), "seconds": seconds}
        report["results"].append(result | {"weights": extractor.backbone.weights_hash})
        print(f"ResNet-{depth}: {accuracy:.2%} of {len(features):,} test images, {seconds:.0f} s")
        persist.write_text(recipe.output, json.dumps(report, indent=1) + "\n")
    print(f"written to {recipe.output}")


if __name__ == "__main__":
    try:
        main(config.parse(Recipe))
    except InputError as error:
        sys.exit(f"error: {error}")
