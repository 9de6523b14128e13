"""What bfloat16 does to the accuracy and to the collapse measures of the shared CIFAR-10 networks.

python recipes/bench_precision.py --data ../shared --output recipes/results/bench_precision.json
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ncapps import config, measure_collapse, persist
from ncapps.benchmarks.environment import environment
from ncapps.features import FeatureExtractor, Features, open_images


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where the images and weights lie, how many images, and the file for the results."""

    data: str = "../shared"
    output: str = "recipes/results/bench_precision.json"
    images: int = 3000
    depths: tuple[int, ...] = (20, 56)
    seed: int = 0


def main(recipe: Recipe) -> None:
    """Extract the same images in both precisions, and write accuracy, NC1..NC4 and the features' own difference."""
    root = Path(recipe.data)
    # Collapse is measured on training images: there the within-class spread is least, and rounding matters most.
    whole = open_images(root / "data" / "cifar10_train_a.zip")
    chosen = np.sort(np.random.default_rng(recipe.seed).permutation(len(whole))[: recipe.images])
    report: dict[str, Any] = {"settings": asdict(recipe), "environment": environment(), "results": []}
    for depth in recipe.depths:
        weights = root / "models" / f"cifar10_resnet{depth}.safetensors"
        exact: Features | None = None
        for precision in ("float32", "bfloat16"):
            extractor = FeatureExtractor(f"cifar_resnet{depth}", checkpoint=weights, precision=precision)
            features = extractor.extract(whole.select(chosen))
            exact = exact or features
            figures = {"depth": depth, "precision": precision, **_figures(extractor, features)}
            figures["relative_difference"] = float(
                np.linalg.norm(features.values - exact.values) / np.linalg.norm(exact.values)
            )
            report["results"].append(figures)
            print(
                "  ".join(
                    f"{name} {value:.5g}" if isinstance(value, float) else str(value) for name, value in figures.items()
                )
            )
            persist.write_text(recipe.output, json.dumps(report, indent=1) + "\n")


def _figures(extractor: FeatureExtractor, features: Features) -> dict[str, float]:
    names = np.array(extractor.classes)
    logits, labels = features.logits, features.labels
    assert logits is not None
    assert labels is not None
    collapse = measure_collapse(
        features.values, [int(np.flatnonzero(names == label)[0]) for label in labels], extractor.head
    )
    kept = ("nc1", "nc2_equiangularity", "nc2_equinorm", "nc3", "nc4_agreement")
    accuracy = float((names[logits.argmax(1)] == labels).mean())
    return {"accuracy": accuracy, **{name: float(getattr(collapse, name)) for name in kept}}


if __name__ == "__main__":
    main(config.parse(Recipe))
