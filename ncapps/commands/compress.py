"""`ncapps compress`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ncapps.commands.backbone_options import add_backbone_options, make_backbone
from ncapps.commands.calibration_images import read_calibration_images
from ncapps.commands.onnx_output import add_int8_option, write_onnx
from ncapps.errors import InputError

EXAMPLE = "ncapps compress photos/ --backbone resnet18.a1_in1k --download --macs 0.5 --out small.safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("data", metavar="DATA", help="calibration images, some hundred; labels are not needed")
    parser.add_argument("--macs", type=float, default=0.5, help="fraction of the operations to keep")
    parser.add_argument("--importance", default="obs", help="how channels are chosen: obs, wanda, l1, fisher, random")
    parser.add_argument("--images", type=int, default=512, help="how many calibration images to use at most")
    parser.add_argument("--out", required=True, metavar="FILE", help="the pruned network")
    parser.add_argument("--onnx", metavar="FILE", help="the pruned network as ONNX too")
    add_int8_option(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images")
    add_backbone_options(parser, extracting=False)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Prune, repair, save."""
    from ncapps.compression import compress

    if args.int8 and not args.onnx:
        raise InputError("--int8 goes with an ONNX file; say where: --onnx FILE")
    backbone = make_backbone(args)
    images, labels, skipped = read_calibration_images(args.data, backbone, args.images, args.seed)
    small = compress(
        backbone.model,
        images,
        labels,
        macs=args.macs,
        importance=args.importance,
        seed=args.seed,
        progress=not args.no_progress,
    )
    small.save(args.out)
    report = small.report
    lines = [
        f"operations {report.macs_before:,} -> {report.macs_after:,} ({report.macs_ratio:.1%})",
        f"parameters {report.params_before:,} -> {report.params_after:,}",
        f"same answer as before on {report.agreement:.1%} of {report.images} calibration images",
        *(f"skipped {key}: {reason}" for key, reason in skipped),
        f"wrote {args.out}",
    ]
    data = {**asdict(report), "macs_ratio": report.macs_ratio, "skipped": skipped, "file": str(args.out)}
    if args.onnx:
        more, more_lines = write_onnx(small.model, images, args.onnx, args)
        data, lines = {**data, **more}, [*lines, *more_lines]
    return data, "\n".join(lines)
