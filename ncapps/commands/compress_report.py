"""The page that `ncapps compress --report` writes: what was tried, what was kept, and how fast it is here."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ncapps.compression import Compressed
    from ncapps.features import Backbone

FRONT = (0.75, 0.5, 0.25)
"""The fractions of the cost that are tried beside the target, so that the page's plot has a line."""
_BATCHES = ((1, 20), (32, 5))


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Add --report and --front."""
    parser.add_argument("--report", metavar="HTML", help="write a page with accuracy against cost, widths and times")
    parser.add_argument(
        "--front",
        nargs="*",
        type=float,
        metavar="FRACTION",
        help="further sizes to try for the page's plot, each as slow as the first; without numbers none "
        f"({' '.join(map(str, FRONT))})",
    )


def front_asked(args: argparse.Namespace) -> tuple[float, ...]:
    """Return the fractions to try beside the target."""
    if args.front is not None:
        return tuple(args.front)
    return FRONT if args.report and args.max_drop is None else ()


def write_report(
    small: Compressed, backbone: Backbone, images: Tensor, args: argparse.Namespace
) -> tuple[dict[str, Any], list[str]]:
    """Time both networks, write the page, and return figures and lines about it.

    Where an ONNX file was asked for, the times are ONNX Runtime's, else PyTorch's.
    """
    from ncapps.compression.latency import measure_latency
    from ncapps.report.compression import compression_page

    networks = _networks(small.model, backbone.model.eval(), images, args)
    latency = {
        batch: measure_latency(
            {name: partial(run, images[:batch]) for name, run in networks.items()}, runs=runs, warmup=2
        )
        for batch, runs in _BATCHES
        if batch <= len(images)
    }
    compression_page(small, name=backbone.tag, latency=latency, settings=_settings(args)).write(args.report)
    figures = {
        str(batch): {name: {"p50_ms": one.p50_ms, "p95_ms": one.p95_ms} for name, one in arms.items()}
        for batch, arms in latency.items()
    }
    return {"report": {"file": str(args.report), "latency": figures}}, [f"wrote {args.report}"]


def _networks(small: nn.Module, dense: nn.Module, images: Tensor, args: argparse.Namespace) -> dict[str, Any]:
    import torch

    if not args.onnx:
        device = next(small.parameters()).device

        @torch.inference_mode()
        def run(model: nn.Module, batch: Tensor) -> Tensor:
            # To the CPU and back, so that the work is done when the clock is read.
            return model(batch.to(device)).cpu()

        return {"before, PyTorch": partial(run, dense), "after, PyTorch": partial(run, small)}
    from ncapps.compression import OnnxModel, export_onnx

    found: dict[str, Any] = {"before, ONNX Runtime": export_onnx(dense, images)}
    found["after, ONNX Runtime"] = export_onnx(small, images)
    if args.int8:
        found["after, 8 bits"] = OnnxModel(Path(args.onnx).read_bytes())
    return found


def _settings(args: argparse.Namespace) -> dict[str, str]:
    import torch

    from ncapps import __version__

    told = {
        "Calibration images": Path(args.data).name,
        "Network": Path(args.backbone).name,
        "Importance": args.importance,
        "Seed": str(args.seed),
        "ncapps": __version__,
        "torch": torch.__version__,
        "Threads": str(torch.get_num_threads()),
    }
    asked = (
        ("macs", "operations"),
        ("params", "parameters"),
        ("latency_ms", "milliseconds"),
        ("max_drop", "points lost at most"),
    )
    targets = [f"{words}: {getattr(args, name):g}" for name, words in asked if getattr(args, name) is not None]
    return {"Target": ", ".join(targets) or "operations: 0.5", **told}
