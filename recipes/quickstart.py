"""Run the quickstart with several seeds and write the mean of each figure, and the README's picture.

python recipes/quickstart.py --output recipes/results
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ncapps import config, persist
from ncapps.benchmarks.environment import environment
from ncapps.quickstart import run_quickstart, summary
from ncapps.report import save_png
from ncapps.report.quickstart import quickstart_picture


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The seeds to run, and the folder for quickstart.json and geometry.png."""

    output: str = "recipes/results"
    seeds: tuple[int, ...] = (0, 1, 2)


def main(recipe: Recipe) -> None:
    """Run each seed; figures that are plain numbers are averaged."""
    runs: dict[int, dict[str, Any]] = {}
    for seed in recipe.seeds:
        run = run_quickstart(None, seed=seed, say=lambda line: sys.stderr.write(line + "\n"))
        runs[seed] = run.results
        print(f"seed {seed}\n{summary(run.results)}\n")
        if seed == recipe.seeds[0]:
            save_png(quickstart_picture(run), Path(recipe.output) / "geometry.png")
    first = runs[recipe.seeds[0]]
    plain = [name for name, value in first.items() if isinstance(value, (int, float)) and not isinstance(value, bool)]
    mean = {name: float(np.mean([found[name] for found in runs.values()])) for name in plain}
    mean["false_alarm_rate"] = float(np.mean([found["false_alarm_rate"]["measured"] for found in runs.values()]))
    report = {"mean": mean, "seeds": runs, "settings": asdict(recipe), "environment": environment(data="digits")}
    path = Path(recipe.output) / "quickstart.json"
    persist.write_text(path, json.dumps(report, indent=1) + "\n")
    print(json.dumps(mean, indent=1), f"\nwritten to {path}")


if __name__ == "__main__":
    main(config.parse(Recipe))
