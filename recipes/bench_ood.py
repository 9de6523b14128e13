"""Time every detector on cached features: in batches, one image at a time, and against the bare products it needs.

python recipes/bench_ood.py --output recipes/results/bench_ood.json
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ncapps import config, persist
from ncapps.benchmarks.detector_speed import DetectorSpeedSettings, measure_detector_speed
from ncapps.benchmarks.environment import environment


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The detectors and sizes to time, and the file for the results."""

    output: str = "recipes/results/bench_ood.json"
    speed: DetectorSpeedSettings = field(default_factory=DetectorSpeedSettings)


def main(recipe: Recipe) -> None:
    """Run the benchmark, write the file, and print the figures that matter."""
    result = measure_detector_speed(recipe.speed)
    report = {**result, "settings": asdict(recipe.speed), "environment": environment(seed=recipe.speed.seed)}
    path = Path(recipe.output)
    persist.write_text(path, json.dumps(report, indent=1) + "\n")
    print(f"{'detector':<16}{'images/s':>12}{'one, us':>10}{'large, us':>11}{'products, us':>14}{'ratio':>7}")
    for name in recipe.speed.detectors:
        large = result["one_image_large"][name]
        rate, one = result["batch"][name]["images_per_second"], result["one_image"][name]["median"]
        bound = f"{large['products_median']:>14.0f}{large['ratio']:>7.2f}" if "products" in large else ""
        print(f"{name:<16}{rate:>12,.0f}{one:>10.0f}{large['median']:>11.0f}{bound}")
    loop, faiss = result["mds_against_loop"], result["knn_against_faiss"]
    print(f"MDS is {loop['speed_up']:.0f} times as fast as a class loop (extrapolated from", end=" ")
    print(f"{loop['loop_timed_on_classes']} of {loop['loop_extrapolated_to_classes']} classes)")
    print(f"KNN has {faiss['speed_batch']:.0%} of bare FAISS's speed in batches, {faiss['speed_one']:.0%} by image")
    print(f"written to {path}")


if __name__ == "__main__":
    main(config.parse(Recipe))
