"""Try to prune one network of each of many families of timm; writes one JSON file.

python recipes/compress_support.py --config configs/compress/support.yaml
"""

from __future__ import annotations

import json

from ncapps import config, persist
from ncapps.benchmarks.support_matrix import measure_support
from ncapps.benchmarks.support_settings import SupportSettings


def main(settings: SupportSettings) -> None:
    """Try, write the rows, and print one line for each architecture."""
    found = measure_support(settings)
    persist.write_text(settings.output, json.dumps(found, indent=1) + "\n")
    for row in found["rows"]:
        line = f"{row['architecture']:<28} {row['seconds']:6.1f} s  {row['status']:<9}"
        if "widths" in row:
            line += (
                f" {row['widths']:3d} widths, left at half: {100 * row['macs_left']:5.1f} % of operations, "
                f"{100 * row['params_left']:5.1f} % of parameters; gate {row['gate_error']:.1e}"
            )
        print(f"{line} {row.get('reason', '')}")
    print(f"{found['counts']} in {found['seconds']:.0f} s; written to {settings.output}")


if __name__ == "__main__":
    main(config.parse(SupportSettings))
