"""Time adding a class, naming one image, and 10,000 episodes, for every metric; features are drawn, none are read.

python recipes/bench_fewshot.py --output recipes/results/bench_fewshot.json
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ncapps import config, persist
from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.fewshot_speed import FewShotSpeedSettings, measure_fewshot_speed


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The metrics and sizes to time, and the file for the results."""

    output: str = "recipes/results/bench_fewshot.json"
    speed: FewShotSpeedSettings = field(default_factory=FewShotSpeedSettings)


def main(recipe: Recipe) -> None:
    """Run the benchmark, write the file, and print the figures that matter."""
    result = measure_fewshot_speed(recipe.speed)
    report = {**result, "settings": asdict(recipe.speed), "environment": environment(seed=recipe.speed.seed)}
    path = Path(recipe.output)
    persist.write_text(path, json.dumps(report, indent=1) + "\n")
    print(f"{'metric':<14}{'add, ms':>10}{'remove, ms':>12}{'one image, us':>15}")
    for name in recipe.speed.metrics:
        add, remove, one = (result[part][name]["median"] for part in ("add_class", "remove_class", "predict_one"))
        print(f"{name:<14}{add:>10.2f}{remove:>12.2f}{one:>15.0f}")
    for shots, times in result["episodes"].items():
        told = ", ".join(f"{name} {times[name]['median']:.1f} s" for name in recipe.speed.episode_methods)
        told += f"; drawn in {times['draw_seconds']:.1f} s"
        print(f"{recipe.speed.episodes:,} five-way {shots}-shot episodes: {told}")
    print(f"written to {path}")


if __name__ == "__main__":
    main(config.parse(Recipe))
