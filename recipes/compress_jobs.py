"""Compress a network and put it and the dense one to work on all jobs; writes one JSON file and prints one table.

python recipes/compress_jobs.py --config configs/compress/resnet56_jobs.yaml --data ../shared
"""

from __future__ import annotations

import json

from ncapps import config, persist
from ncapps.benchmarks.compressed_jobs import measure_compressed_jobs
from ncapps.benchmarks.compressed_jobs_settings import CompressedJobsSettings


def main(settings: CompressedJobsSettings) -> None:
    """Run every seed, write the figures, and print them before and after."""
    found = measure_compressed_jobs(settings, say=print)
    persist.write_text(settings.output, json.dumps(found, indent=1) + "\n")
    for title, key in (("statistics taken anew", "table"), ("the dense network's", "table_dense_statistics")):
        print(f"{title}: dense, small, difference in points")
        for row in found[key]:
            value, low, high = (100 * number for number in row["difference"])
            before, after = (100 * row[name] for name in ("dense", "small"))
            print(f"  {row['figure']:<36}{before:7.2f}{after:7.2f}{value:+7.2f} [{low:+.2f}, {high:+.2f}]")
    print(f"written to {settings.output}")


if __name__ == "__main__":
    main(config.parse(CompressedJobsSettings))
