"""Time one pass of `ClassStatistics` over 1,000,000 x 512 features against the bare matrix product it must do.

python recipes/bench_statistics.py --output recipes/results/bench_statistics.json
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ncapps import config, persist
from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.statistics_speed import SpeedSettings, measure_statistics_speed


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The sizes to time, and the file for the results."""

    output: str = "recipes/results/bench_statistics.json"
    speed: SpeedSettings = field(default_factory=SpeedSettings)


def main(recipe: Recipe) -> None:
    """Run the benchmark, write the file, and print the figures that matter."""
    result = measure_statistics_speed(recipe.speed)
    report = {**result, "settings": asdict(recipe.speed), "environment": environment(seed=recipe.speed.seed)}
    path = Path(recipe.output)
    persist.write_text(path, json.dumps(report, indent=1) + "\n")
    for name, seconds in result["minimum"].items():
        print(f"{name:<26}{seconds:8.2f} s at best, {result['median'][name]:8.2f} s in the middle")
    for name in ("speed_against_product", "speed_against_product_with_conversion"):
        ratios = result[name]
        print(f"{name:<40}{ratios['by_minima']:.0%} by minima, {ratios['median_of_rounds']:.0%} in the middle round")
    small, large = recipe.speed.streamed_rows
    print(f"memory beyond rest: {result['memory'][str(small)] / 1e6:.0f} MB for {small:,} rows, ", end="")
    print(f"{result['memory'][str(large)] / 1e6:.0f} MB for {large:,}; written to {path}")


if __name__ == "__main__":
    main(config.parse(Recipe))
