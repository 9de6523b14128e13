"""Name held-out photos with an ImageNet network that never saw their classes: each metric, each precision.

python recipes/photos.py --data ../shared --output recipes/results/photos.json
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ncapps import config, persist
from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.metrics import accuracy
from ncapps.features import FeatureExtractor, open_images, split_by_class
from ncapps.fewshot import METRICS, PrototypeClassifier


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where TrashNet and the MobileNetV2 weights lie, and the file for the results."""

    data: str = "../shared"
    output: str = "recipes/results/photos.json"
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    precisions: tuple[str, ...] = ("float32", "bfloat16")


def main(recipe: Recipe) -> None:
    """Report top-1 on held-out photos, mean and deviation over splits, for each metric and precision."""
    root = Path(recipe.data)
    photos = open_images(root / "data" / "trashnet.zip")
    report = {"settings": asdict(recipe), "images": photos.fingerprint(), "environment": environment(), "top1": {}}
    for precision in recipe.precisions:
        extractor = FeatureExtractor(
            "mobilenetv2_100",
            checkpoint=root / "models" / "imagenet_mobilenetv2_100.safetensors",
            model_kwargs={"pad_type": "same"},
            preprocessing={"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
            precision=precision,
        )
        features = extractor.extract(photos)
        X, y = features.values, np.asarray(features.labels)
        for metric in METRICS:
            found = []
            for seed in recipe.seeds:
                fitted, held = split_by_class(y, (0.8, 0.2), seed)
                classifier = PrototypeClassifier(metric=metric).fit(X[fitted], y[fitted])
                found.append(accuracy(classifier.predict(X[held]), y[held]))
            row = {"mean": float(np.mean(found)), "deviation": float(np.std(found, ddof=1)), "splits": found}
            report["top1"][f"{precision} {metric}"] = row
            print(f"{precision:<10}{metric:<13}top-1 {row['mean']:.1%} +- {row['deviation']:.1%}")
    persist.write_text(recipe.output, json.dumps(report, indent=1) + "\n")
    print(f"written to {recipe.output}")


if __name__ == "__main__":
    main(config.parse(Recipe))
