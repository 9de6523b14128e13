"""Round the weights of collapsed and of early-stopped networks to fewer and fewer bits; writes one JSON file.

python recipes/quantize.py --config configs/compress/weight_bits.yaml
"""

from __future__ import annotations

import json
import logging

from ncapps import config, persist
from ncapps.benchmarks.weight_bits import WeightBitsSettings, measure_weight_bits


def main(settings: WeightBitsSettings) -> None:
    """Train, round, write the figures, and print one line for each number of bits."""
    found = measure_weight_bits(settings)
    persist.write_text(settings.output, json.dumps(found, indent=1) + "\n")
    for row in found["claim"]:
        print(
            f"{row['bits']} bits, {row['rounding']:<10} collapsed {row['collapsed']:6.2f} points lost, "
            f"stopped early {row['stopped']:6.2f}: {row['verdict']}"
        )
    print(f"written to {settings.output}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(config.parse(WeightBitsSettings))
