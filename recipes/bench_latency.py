"""Time a network dense, pruned, and in 8 bits, in ONNX Runtime, turn by turn; writes one JSON file.

python recipes/bench_latency.py --config configs/compress/latency.yaml
"""

from __future__ import annotations

import json
import logging

from ncapps import config, persist
from ncapps.benchmarks.compressed_latency import LatencySettings, measure_compressed_latency


def main(settings: LatencySettings) -> None:
    """Prune, quantize, time, write the figures, and print a line for each batch and network."""
    found = measure_compressed_latency(settings)
    persist.write_text(settings.output, json.dumps(found, indent=1) + "\n")
    for row in found["latency"]:
        for name, one in row["arms"].items():
            print(
                f"batch {row['batch']:<3} {name:<26} p50 {one['p50_ms']:9.2f} ms, p95 {one['p95_ms']:9.2f} ms, "
                f"{one['speed_up']:5.2f} x as fast as dense float32"
            )
    ratios = ", ".join(f"{name} {ratio:.3f}" for name, ratio in found["macs_ratio"].items())
    print(f"multiply-accumulates left: {ratios}; {settings.threads} threads; written to {settings.output}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(config.parse(LatencySettings))
