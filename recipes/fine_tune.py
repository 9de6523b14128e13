"""Prune a network, fine-tune it with the dense one as its teacher, and measure both; goes on where it was interrupted.

python recipes/fine_tune.py --config configs/compress/fine_tune_resnet56_cpu.yaml --data_root ../shared

Writes both networks, the checkpoint and results.json into the folder `output`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ncapps import config, persist
from ncapps.benchmarks.fine_tuning import FineTuningSettings, measure_fine_tuning
from ncapps.errors import InputError


def main(settings: FineTuningSettings) -> None:
    """Run to the end, write the figures, and print them before and after."""
    found = measure_fine_tuning(settings)
    persist.write_text(Path(settings.output) / "results.json", json.dumps(found, indent=1) + "\n")
    for row in found["history"]:
        chosen = "" if row["drop"] is None else f", {row['drop']:.2f} points lost on the images for choices"
        print(f"epoch {row['epoch']}: loss {row['loss']:.4f}{chosen}, {row['seconds']:.0f} s")
    print(f"kept: epoch {found['epoch']}; {found['macs_ratio']:.1%} of the operations")
    for name in ("pruned", "fine_tuned"):
        row = found[name]
        low, high = row["drop_interval"]
        print(
            f"{name.replace('_', '-'):<10} {row['accuracy_after']:.2%} of {row['images']:,} test images; "
            f"{row['drop']:+.2f} points lost [{low:+.2f}, {high:+.2f}]"
        )
    print(f"written to {settings.output}")


if __name__ == "__main__":
    try:
        main(config.parse(FineTuningSettings))
    except InputError as error:
        sys.exit(f"error: {error}")
