"""`ncapps predict`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

EXAMPLE = "ncapps predict shop.ncapps new.jpg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("recognizer", metavar="RECOGNIZER", help="a file that `ncapps fit` wrote")
    parser.add_argument("data", metavar="DATA", help="an image, a folder, a zip, or a CSV/TSV list")
    parser.add_argument("--top", type=int, default=3, help="how many of the likeliest classes to list")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    parser.add_argument("--no-progress", action="store_true", help="no progress bars")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Predict, one line an image."""
    from ncapps.recognizer import Recognizer

    recognizer = Recognizer.load(args.recognizer, device=args.device, progress=not args.no_progress)
    found = recognizer.predict(args.data, top=args.top)
    lines = []
    for row in found.rows:
        others = ", ".join(f"{name} {probability:.0%}" for name, probability in row.nearest)
        answer = str(row.name) if row.known else "unknown"
        lines.append(f"{row.key}\t{answer}\tp = {row.p_value:.3f}\t{others}")
    lines += [f"{key}\tskipped\t{reason}" for key, reason in found.skipped]
    return asdict(found), "\n".join(lines)
