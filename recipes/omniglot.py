"""Omniglot: train on the shared background alphabets, answer the official one-shot runs and held-out episodes.

python recipes/omniglot.py --config configs/fewshot/omniglot.yaml --root ../shared
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from ncapps import config, persist
from ncapps.benchmarks.environment import environment, file_hash
from ncapps.benchmarks.omniglot_protocol import OmniglotSettings, run_omniglot
from ncapps.errors import InputError


def main() -> None:
    """Train the backbones or find them in `--folder`, answer all trials, write the file."""
    settings, results = config.parse_with_results(OmniglotSettings, "recipes/results/omniglot.json")
    archives = [*settings.archives, Path(settings.root) / settings.runs]
    data = {path.name: file_hash(path) for path in archives}
    report = {
        **run_omniglot(settings, say=print),
        "settings": config.to_dict(replace(settings, root="", folder="")),
        "environment": environment(seeds=settings.seeds, data=data),
    }
    persist.write_text(Path(results), json.dumps(report, indent=1) + "\n")
    print(f"written to {results}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
