"""Check that rankings of backbones foretell accuracies: every score against linear probe and few-shot, on each set.

python recipes/rank.py --config configs/transfer/shared.yaml --data ../shared
"""

from __future__ import annotations

import json
import sys

from ncapps import config, persist
from ncapps.benchmarks.rank_settings import RankTrialSettings
from ncapps.benchmarks.rank_trials import TRUTHS, run_rank_trials
from ncapps.errors import InputError


def main() -> None:
    """Run the check, write the file, and print the mean correlations."""
    settings, results = config.parse_with_results(RankTrialSettings, "recipes/results/rank.json")
    report = run_rank_trials(settings, say=print)
    persist.write_text(results, json.dumps(report, indent=1) + "\n")
    print(f"{'mean over sets':<18}" + "".join(f"{truth + ': tau_w':>22}{'rho':>7}{'regret':>8}" for truth in TRUTHS))
    for score, found in report["mean"].items():
        cells = (f"{one['kendall']:>22.3f}{one['spearman']:>7.3f}{one['regret']:>8.3f}" for one in found.values())
        print(f"{score:<18}" + "".join(cells))
    print(f"written to {results}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
