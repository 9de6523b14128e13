"""Measure few-shot methods on five-way episodes of cached features, with 95 % intervals; nothing is downloaded.

python recipes/episodes.py --config configs/fewshot/episodes.yaml --data ../shared
"""

from __future__ import annotations

import json
import sys

from ncapps import config, persist
from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.episode_protocol import run_episodes
from ncapps.benchmarks.episode_settings import EpisodeBenchmarkSettings
from ncapps.errors import InputError


def main() -> None:
    """Run the config's sets, and write the file."""
    settings, results = config.parse_with_results(EpisodeBenchmarkSettings, "recipes/results/episodes.json")
    report = {
        **run_episodes(settings, say=print),
        "convention": "half_width = 1.96 standard deviations (divided by n) / sqrt(episodes); differences are paired",
        "settings": config.to_dict(settings),
        "environment": environment(seed=settings.seed),
    }
    persist.write_text(results, json.dumps(report, indent=1) + "\n")
    print(f"written to {results}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
