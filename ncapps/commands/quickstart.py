"""`ncapps quickstart`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

EXAMPLE = "ncapps quickstart --out ncapps-quickstart"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--out", default="ncapps-quickstart", metavar="FOLDER", help="where report and results go")
    parser.add_argument("--seed", type=int, default=0, help="splits, shots, first weights and textures")
    parser.add_argument("--no-progress", action="store_true", help="no progress bars")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Run it, write the report, and sum it up."""
    from ncapps.quickstart import run_quickstart, summary, write_results

    folder = Path(args.out)
    found = run_quickstart(
        folder,
        seed=args.seed,
        progress=not args.no_progress,
        say=lambda line: sys.stderr.write(line + "\n"),
    )
    write_results(found, folder)
    files = ("report.html", "results.json", "digits.ncapps")
    text = summary(found.results) + "\n\n" + "\n".join(f"wrote {folder / name}" for name in files)
    return found.results, text
