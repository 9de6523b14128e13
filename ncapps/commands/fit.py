"""`ncapps fit`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ncapps.commands.backbone_options import add_backbone_options, make_extractor

EXAMPLE = "ncapps fit photos/ --backbone resnet18.a1_in1k --download --out shop.ncapps"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("data", metavar="DATA", help="folder of class folders, zip of one, or CSV/TSV list")
    parser.add_argument("--out", required=True, metavar="FILE", help="the recognizer, in one file")
    parser.add_argument(
        "--calibration",
        metavar="DATA",
        help="labelled images that set threshold and temperature; needed where the network was trained on DATA",
    )
    parser.add_argument("--reject-rate", type=float, default=0.05, help="share of known images that may be refused")
    parser.add_argument(
        "--held-out", type=float, default=0.2, help="part of each class that does so without --calibration"
    )
    parser.add_argument("--metric", default="mahalanobis", help="how likeness is scored: mahalanobis, plda, cosine ...")
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    add_backbone_options(parser)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Fit, save, and tell how well it does on what it held out."""
    from ncapps.recognizer import Recognizer

    recognizer = Recognizer.fit(
        make_extractor(args),
        args.data,
        calibration=args.calibration,
        reject_rate=args.reject_rate,
        held_out=args.held_out,
        metric=args.metric,
        seed=args.seed,
    )
    recognizer.save(args.out)
    report = recognizer.report
    assert report is not None
    lines = [
        f"{len(recognizer.classes)} classes from {report.n_fitted} images",
        f"top-1 {report.accuracy_held_out:.1%} on {report.n_held_out} held-out images",
        f"at most {report.reject_rate:.0%} of known images will be called unknown",
        *(f"skipped {key}: {reason}" for key, reason in report.skipped),
        f"wrote {args.out}",
    ]
    return {"classes": list(recognizer.classes), **asdict(report), "file": str(args.out)}, "\n".join(lines)
