"""Write a network as ONNX, in 8 bits where asked, and tell what came of it."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


def add_int8_option(parser: Any) -> None:
    """Add --int8."""
    parser.add_argument(
        "--int8", action="store_true", help="the ONNX network in 8 bits, layer by layer, where answers and speed allow"
    )


def write_onnx(
    model: nn.Module, images: Tensor, path: str, args: argparse.Namespace
) -> tuple[dict[str, Any], list[str]]:
    """Write the file; return figures and lines about it. `args` holds int8, max_drop (where the verb has it) and seed.

    Raises
    ------
    InputError
        If the extra [onnx] is missing or the network cannot be exported.
    """
    from ncapps.compression import export_onnx, quantize

    if not args.int8:
        exported = export_onnx(model, images, path)
        size = len(exported.data)
        return {"onnx": {"file": path, "bytes": size}}, [f"wrote {path}: ONNX, {size:,} bytes"]
    max_drop = getattr(args, "max_drop", None)
    fast = quantize(model, images, max_drop=1.0 if max_drop is None else max_drop, seed=args.seed)
    fast.save(path)
    report = fast.report
    lines = [
        f"wrote {path}: ONNX, {report.bytes_after:,} bytes instead of {report.bytes_before:,}",
        f"same answer as in float32 on {report.drop.agreement:.1%} of {report.drop.images} other images",
    ]
    if report.kind == "int8":
        left = len(report.layers_in_float32)
        lines += [
            f"8 bits in {len(report.layers) - left} of {len(report.layers)} layers: {report.speed_up:.2f} x as fast"
        ]
    else:
        lines += [f"left in float32: {report.reason}"]
    figures = {**asdict(report), "agreement": report.drop.agreement, "interval": report.drop.interval}
    return {"onnx": {"file": path, "bytes": report.bytes_after, "int8": figures}}, lines
