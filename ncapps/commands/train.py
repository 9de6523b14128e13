"""`ncapps train`."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import Any

EXAMPLE = "ncapps train photos/ --config configs/train/digits.yaml --out model.safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("data", metavar="DATA", help="labelled images, or a registered data set's name such as digits")
    parser.add_argument("--config", metavar="FILE", help="YAML of the settings; without it the defaults")
    parser.add_argument("--out", required=True, metavar="FILE", help="the trained model, usable as --backbone")
    parser.add_argument("--resume", metavar="FILE", help="checkpoint: written every epoch, taken up if it exists")
    parser.add_argument("--epochs", type=int, help="instead of the config's")
    parser.add_argument("--seed", type=int, help="instead of the config's")
    parser.add_argument("--no-progress", action="store_true", help="no progress bars")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Train, save, and tell how far the collapse came."""
    from ncapps import config
    from ncapps.training import TrainSettings, train

    settings = config.load(TrainSettings, args.config) if args.config else TrainSettings()
    given = {key: getattr(args, key) for key in ("epochs", "seed") if getattr(args, key) is not None}
    result = train(replace(settings, **given), args.data, checkpoint=args.resume, progress=not args.no_progress)
    result.save(args.out)
    last = result.history[-1]
    lines = [
        f"{len(result.classes)} classes, {last.epoch} epochs, {sum(r.seconds for r in result.history):.0f} s",
        f"accuracy on the training images {last.train_accuracy:.1%}",
        f"NC1 {last.nc1:.4f}, NC2 {last.nc2_equiangularity:.3f}, NC3 {last.nc3:.3f}, NC4 {last.nc4:.1%}",
        *(f"skipped {key}: {reason}" for key, reason in result.skipped),
        f"wrote {args.out}",
    ]
    data = {
        "classes": list(result.classes),
        "history": [asdict(record) for record in result.history],
        "skipped": [list(entry) for entry in result.skipped],
        "file": str(args.out),
    }
    return data, "\n".join(lines)
