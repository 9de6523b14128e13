"""Time feature extraction: against the bare forward pass, the plain timm loop, and ImageFolder with a DataLoader.

python recipes/bench_extract.py --output recipes/results/bench_extract.json
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from ncapps import config, persist
from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.extraction import ExtractionSettings, measure_jpegs, measure_model


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to time, and the file for the results."""

    output: str = "recipes/results/bench_extract.json"
    timing: ExtractionSettings = field(default_factory=ExtractionSettings)


def main(recipe: Recipe) -> None:
    """Time each model, print a line for each, and write all figures to one file."""
    settings = recipe.timing
    report = {"settings": asdict(settings), "environment": environment(seed=settings.seed), "memory": [], "jpeg": []}
    for name in settings.models:
        result = measure_model(name, settings)
        report["memory"].append(result)
        rate = result["images_per_second"]
        print(
            f"{name:<24}{rate['extractor']:8.0f} images/s {result['precision']}: "
            f"{result['of_bare']['by_minima']:.0%} of the bare pass, {result['times_plain']['by_minima']:.1f} x the "
            f"plain loop ({rate['plain']:.0f}/s), "
            f"{result['times_plain_on_long_job']:.1f} x on a long job with compiling"
        )
        persist.write_text(recipe.output, json.dumps(report, indent=1) + "\n")
    for name in settings.jpeg_models if settings.jpegs else ():
        result = measure_jpegs(name, settings)
        report["jpeg"].append(result)
        rate = result["images_per_second"]
        print(
            f"{name:<24}{rate['extractor']:8.0f} JPEG/s: {result['times_usual']['by_minima']:.1f} x ImageFolder, "
            f"DataLoader and a float32 loop ({rate['usual']:.0f}/s)"
        )
        persist.write_text(recipe.output, json.dumps(report, indent=1) + "\n")
    print(f"written to {recipe.output}")


if __name__ == "__main__":
    main(config.parse(Recipe))
