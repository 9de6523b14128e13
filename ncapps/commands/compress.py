"""`ncapps compress`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ncapps.commands.backbone_options import add_backbone_options, make_backbone
from ncapps.commands.calibration_images import read_calibration_images
from ncapps.commands.compress_report import add_report_options, front_asked, write_report
from ncapps.commands.network_classes import class_codes, class_numbers
from ncapps.commands.onnx_output import add_int8_option, write_onnx
from ncapps.errors import InputError

if TYPE_CHECKING:
    from ncapps.compression.result import CompressionReport

EXAMPLE = "ncapps compress photos/ --backbone resnet18.a1_in1k --download --macs 0.5 --out small.safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("data", metavar="DATA", help="calibration images, some hundred; labels are not needed")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--macs", type=float, help="fraction of the operations to keep; 0.5 where no target is given")
    target.add_argument("--params", type=float, help="fraction of the parameters to keep")
    target.add_argument(
        "--latency-ms",
        type=float,
        metavar="MS",
        help="milliseconds that one image may take here, in PyTorch on its present threads",
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="lose at most so many points on held-out images",
    )
    parser.add_argument(
        "--held-out",
        type=int,
        default=256,
        metavar="N",
        help="images that --max-drop and --report are measured on",
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="CLASS",
        help="keep these outputs alone: names, or numbers from 0",
    )
    parser.add_argument("--importance", default="obs", help="how channels are chosen: obs, wanda, l1, fisher, random")
    parser.add_argument(
        "--allocation",
        default="loss",
        help="how the target is shared out: loss, repaired (for large photos), uniform",
    )
    parser.add_argument("--keep-heads", action="store_true", help="leave all attention heads")
    parser.add_argument("--streams", action="store_true", help="narrow residual streams too")
    parser.add_argument("--images", type=int, default=512, help="how many calibration images to use at most")
    parser.add_argument("--out", required=True, metavar="FILE", help="the pruned network")
    parser.add_argument("--onnx", metavar="FILE", help="the pruned network as ONNX too")
    add_int8_option(parser)
    add_report_options(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images")
    add_backbone_options(parser, extracting=False)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Prune, repair, save."""
    from ncapps.compression import compress

    if args.int8 and not args.onnx:
        raise InputError("--int8 goes with an ONNX file; say where: --onnx FILE")
    backbone = make_backbone(args)
    wanted = args.images + (args.held_out if args.max_drop is not None or args.report else 0)
    images, labels, skipped = read_calibration_images(args.data, backbone, wanted, args.seed)
    codes = class_codes(labels, backbone.classes)
    held = None
    # In an order that chance decides: what is beyond --images is held out, or a third, and at most --held-out.
    count = 0
    if wanted > args.images and len(images) >= 3:
        count = min(args.held_out, max(len(images) // 3, len(images) - args.images))
    if count or args.max_drop is not None:
        if count < 1:
            raise InputError(f"--max-drop needs images held out, but only {len(images)} could be read; 3 are the least")
        held = images[:count] if codes is None else (images[:count], codes[:count])
        images, labels, codes = images[count:], labels and labels[count:], codes and codes[count:]
    classes = None if args.classes is None else class_numbers(args.classes, backbone.classes)
    small = compress(
        backbone.model,
        images,
        labels if classes is None else codes,
        macs=args.macs,
        params=args.params,
        latency_ms=args.latency_ms,
        max_drop=args.max_drop,
        held_out=held,
        front=front_asked(args),
        classes=classes,
        importance=args.importance,
        allocation=args.allocation,
        heads=not args.keep_heads,
        streams=args.streams,
        seed=args.seed,
        progress=not args.no_progress,
    )
    small.save(args.out)
    report = small.report
    lines = [
        f"operations {report.macs_before:,} -> {report.macs_after:,} ({report.macs_ratio:.1%})",
        f"parameters {report.params_before:,} -> {report.params_after:,}",
        f"same answer as before on {report.agreement:.1%} of {report.images} calibration images",
        *_latency_lines(report),
        *_held_out_lines(report),
        *(f"skipped {key}: {reason}" for key, reason in skipped),
        f"wrote {args.out}",
    ]
    data = {**asdict(report), "macs_ratio": report.macs_ratio, "skipped": skipped, "file": str(args.out)}
    if args.onnx:
        more, more_lines = write_onnx(small.model, images, args.onnx, args)
        data, lines = {**data, **more}, [*lines, *more_lines]
    if args.report:
        more, more_lines = write_report(small, backbone, images, args)
        data, lines = {**data, **more}, [*lines, *more_lines]
    return data, "\n".join(lines)


def _latency_lines(report: CompressionReport) -> list[str]:
    if report.latency_before_ms is None or report.latency_after_ms is None:
        return []
    return [f"one image took {report.latency_before_ms:.3g} ms and takes {report.latency_after_ms:.3g} ms, in PyTorch"]


def _held_out_lines(report: CompressionReport) -> list[str]:
    if report.drop is None or report.drop_interval is None:
        return []
    low, high = report.drop_interval
    what = "agreement" if report.held_out_accuracy_before is None else "accuracy"
    return [
        f"{report.drop:.2f} points of {what} lost on {report.held_out_images} held-out images "
        f"(95 % interval {low:.2f} to {high:.2f})"
    ]
