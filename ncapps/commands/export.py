"""`ncapps export`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ncapps.commands.backbone_options import add_backbone_options, make_backbone
from ncapps.commands.calibration_images import read_calibration_images
from ncapps.commands.onnx_output import add_int8_option, write_onnx
from ncapps.errors import InputError

EXAMPLE = "ncapps export photos/ --backbone resnet18.a1_in1k --download --out net.onnx --int8"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("data", metavar="DATA", help="images to check the export on, and to calibrate 8 bits with")
    parser.add_argument("--out", required=True, metavar="FILE", help="ends in .onnx, or in .pt2 for torch.export")
    parser.add_argument("--compressed", metavar="FILE", help="what `ncapps compress` wrote from this backbone")
    parser.add_argument("--images", type=int, default=512, help="how many images to use at most")
    parser.add_argument("--max-drop", type=float, default=1.0, help="with --int8: the most points of agreement to lose")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images")
    add_int8_option(parser)
    add_backbone_options(parser, extracting=False)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Export, check, write."""
    from ncapps.compression import export_program, load_compressed

    suffix = Path(args.out).suffix
    if suffix not in (".onnx", ".pt2"):
        raise InputError(f"--out ends in .onnx or in .pt2, which says what to write, but {args.out} came")
    if suffix == ".pt2" and args.int8:
        raise InputError("--int8 goes with an ONNX file; let --out end in .onnx")
    backbone = make_backbone(args)
    model = backbone.model if args.compressed is None else load_compressed(args.compressed, backbone.model).model
    images, _, skipped = read_calibration_images(args.data, backbone, args.images, args.seed)
    if suffix == ".onnx":
        data, lines = write_onnx(model, images, args.out, args)
    else:
        export_program(model, images, args.out)
        size = Path(args.out).stat().st_size
        data = {"program": {"file": args.out, "bytes": size}}
        lines = [f"wrote {args.out}: a torch.export program, {size:,} bytes"]
    lines += [f"skipped {key}: {reason}" for key, reason in skipped]
    return {**data, "skipped": skipped}, "\n".join(lines)
