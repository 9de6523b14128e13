"""What bfloat16 does to accuracy, collapse measures, prototypes and detection on the shared CIFAR-10 networks.

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
from ncapps.benchmarks.metrics import auroc
from ncapps.features import FeatureExtractor, Features, ImageSource, open_images
from ncapps.fewshot import PrototypeClassifier
from ncapps.ood import ETFDetector


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where the images and weights lie, how many images, and the file for the results."""

    data: str = "../shared"
    output: str = "recipes/results/bench_precision.json"
    images: int = 3000
    depths: tuple[int, ...] = (20, 56)
    seed: int = 0


def main(recipe: Recipe) -> None:
    """Extract the same images in both precisions, and write each figure and the features' own difference."""
    root = Path(recipe.data)
    # Training images: there the within-class spread is least, and rounding matters most.
    whole = open_images(root / "data" / "cifar10_train_a.zip")
    chosen = np.sort(np.random.default_rng(recipe.seed).permutation(len(whole))[: recipe.images])
    known = open_images(root / "data" / "cifar10_test.zip")
    known = known.select(np.random.default_rng(recipe.seed + 1).permutation(len(known))[: recipe.images])
    strange = open_images(root / "data" / "trashnet.zip")
    report: dict[str, Any] = {"settings": asdict(recipe), "environment": environment(), "results": []}
    for depth in recipe.depths:
        weights = root / "models" / f"cifar10_resnet{depth}.safetensors"
        exact: Features | None = None
        for precision in ("float32", "bfloat16"):
            extractor = FeatureExtractor(f"cifar_resnet{depth}", checkpoint=weights, precision=precision)
            features = extractor.extract(whole.select(chosen))
            exact = exact or features
            figures = {"depth": depth, "precision": precision, **_figures(extractor, features)}
            gap = np.linalg.norm(features.values - exact.values) / np.linalg.norm(exact.values)
            figures["relative_difference"] = float(gap)
            figures |= _applications(extractor, features, known, strange)
            report["results"].append(figures)
            print("  ".join(f"{name} {value:.5g}" for name, value in figures.items() if isinstance(value, float)))
            persist.write_text(recipe.output, json.dumps(report, indent=1) + "\n")


def _applications(
    extractor: FeatureExtractor, features: Features, known: ImageSource, strange: ImageSource
) -> dict[str, float]:
    """Return the prototypes' accuracy on test images, and the AUROC of photos of rubbish against them."""
    classifier = PrototypeClassifier().fit(features.values, features.labels)
    detector = ETFDetector().fit(features.values, features.labels)
    seen, unseen = extractor.extract(known), extractor.extract(strange)
    scores = [detector.score_samples(part.values) for part in (seen, unseen)]
    return {"prototype_accuracy": float(classifier.score(seen.values, seen.labels)), "ood_auroc": auroc(*scores)}


def _figures(extractor: FeatureExtractor, features: Features) -> dict[str, float]:
    names, logits = np.array(extractor.classes), np.asarray(features.logits)
    collapse = measure_collapse(features.values, features.labels, extractor.head)
    kept = ("nc1", "nc2_equiangularity", "nc2_equinorm", "nc3", "nc4_agreement")
    accuracy = float((names[logits.argmax(1)] == features.labels).mean())
    return {"accuracy": accuracy, **{name: float(getattr(collapse, name)) for name in kept}}


if __name__ == "__main__":
    main(config.parse(Recipe))
