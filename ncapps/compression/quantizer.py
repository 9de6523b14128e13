"""`quantize`: a network in 8 bits where its answers allow it and it pays, as an ONNX-backed callable."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ncapps.compression.calibration import EVERY, Calibration, gather, gather_held_out
from ncapps.compression.drop import sure_images
from ncapps.compression.export import export_onnx
from ncapps.compression.int8 import Int8Builder, overflows_in_8_bits
from ncapps.compression.int8_trial import Int8Trial
from ncapps.compression.latency import Latency, measure_latency
from ncapps.compression.onnx_model import OnnxModel
from ncapps.compression.quantized import QuantizationReport, Quantized
from ncapps.errors import InputError

METHODS = ("auto", "static", "dynamic")
KEEP = ("faster", "smaller", "always")
_RUNS = 30
"""Rounds in which float32 and 8 bits are timed against each other."""


def quantize(
    model: nn.Module | OnnxModel,
    images: Any,
    labels: Any = None,
    *,
    held_out: Any = None,
    max_drop: float | None = 1.0,
    sure: bool = False,
    keep: str = "faster",
    method: str = "auto",
    calibration: int = 256,
    latency_batch: int = 1,
    threads: int | None = None,
    reduce_range: bool | None = None,
    batch_size: int = 32,
    seed: int = 0,
) -> Quantized:
    """Quantize a trained network to 8 bits; needs the extra [onnx].

    Convolutional networks get fixed ranges of their activations, read off the calibration images; transformers get
    ranges call by call for the products with their weights, so that an image's outputs depend a little on the others
    of its batch (`method`). Where held-out images lose more than `max_drop`, the layers that do most harm stay in
    float32, as few as will do. Where 8 bits do not pay (`keep`), all of the network stays in float32. The report says
    which.

    Parameters
    ----------
    model : nn.Module or OnnxModel
        A trained float32 network, pruned or not, or what `export_onnx` made of it; it is not changed.
    images : Tensor, ndarray or iterable
        Images preprocessed for the network, as `compress` takes them; 100 to 300 suffice.
    labels : array-like of int, optional
        The network's output index of each image. Without them agreement with the float32 network is looked at.
    held_out : Tensor or pair, optional
        Images, or (images, output indices), to measure the drop on. Without them half of `images`, or all beyond
        `calibration` if these are more, are not calibrated on but held out.
    max_drop : float or None
        The most percentage points of held-out accuracy (or agreement) that may be lost; None = whatever comes.
    sure : bool
        Whether the upper end of the drop's 95 % interval must be within `max_drop`, not the measured drop alone.
    keep : {"faster", "smaller", "always"}
        What 8 bits must be to be kept, measured against float32 in the same runtime: faster at `latency_batch`,
        smaller as a file, or nothing of the kind.
    method : {"auto", "static", "dynamic"}
        "auto": "static" if convolutions do at least half of the multiply-accumulates.
    calibration : int
        The most calibration images.
    latency_batch : int
        Images in a call when latency is measured.
    threads : int, optional
        Threads of a call; torch's own number where left out, or the exported network's.
    reduce_range : bool, optional
        7-bit weights; by default on processors whose 8-bit products overflow (x86 without VNNI).
    batch_size : int
        Images in a call while calibrating and comparing.
    seed : int
        Seed of the choice of images.

    Returns
    -------
    Quantized
        A callable with the model's outputs, and the report.

    Raises
    ------
    InputError
        If the extra is missing, an argument is out of range, there are too few images or labels are no output indices,
        or the network cannot be exported.

    Examples
    --------
    >>> import timm, torch
    >>> from ncapps.compression import quantize
    >>> model = timm.create_model("resnet18", channels=(8, 16, 32, 64))
    >>> fast = quantize(model, torch.randn(16, 3, 32, 32), keep="always", max_drop=None)
    >>> fast(torch.randn(3, 3, 32, 32)).shape, fast.report.kind
    (torch.Size([3, 1000]), 'int8')
    """
    start = time.perf_counter()
    _check_settings(model, max_drop, keep, method, calibration, latency_batch)
    chosen, held = _split(images, labels, held_out, calibration, batch_size, seed)
    if sure and max_drop is not None and len(held) < sure_images(max_drop):
        raise InputError(
            f"{len(held)} held-out images cannot show a drop of {max_drop} points or less at 95 %; "
            f"{sure_images(max_drop)} or more can"
        )
    float32 = _exported(model, chosen, threads)
    reduced = overflows_in_8_bits() if reduce_range is None else reduce_range
    with tempfile.TemporaryDirectory() as folder:
        builder = Int8Builder(float32.data, method, chosen, reduce_range=reduced, folder=Path(folder))
        trial = Int8Trial(float32, builder, held)
        left = () if max_drop is None else trial.search(max_drop, sure=sure)
        int8 = None if left is None else trial.network(left)
    latencies = {} if int8 is None else _latencies(float32, int8, held, latency_batch)
    reason = _reason_against(float32, int8, latencies, keep)
    kept = float32 if reason or int8 is None else int8
    report = QuantizationReport(
        kind="float32" if kept is float32 else "int8",
        reason=reason,
        method=builder.method,
        layers=builder.layers,
        layers_in_float32=builder.layers if kept is float32 else left or (),
        images=len(chosen),
        reduce_range=reduced,
        drop=trial.drop(kept),
        bytes_before=len(float32.data),
        bytes_after=len(kept.data),
        latency_ms={name: (one.p50_ms, one.p95_ms) for name, one in latencies.items()},
        speed_up=latencies["int8"].speed_up_over(latencies["float32"]) if latencies else None,
        latency_batch=latency_batch,
        threads=float32.threads,
        seconds=time.perf_counter() - start,
    )
    return Quantized(model=kept, report=report)


def _check_settings(
    model: Any, max_drop: float | None, keep: str, method: str, calibration: int, latency_batch: int
) -> None:
    if not isinstance(model, (nn.Module, OnnxModel)):
        raise InputError(
            f"model must be a torch network (nn.Module) or an exported one (OnnxModel), but {type(model).__name__} came"
        )
    if max_drop is not None and not 0 <= max_drop <= 100:
        raise InputError(f"max_drop is in percentage points, 0 to 100, but {max_drop!r} came; 1.0 is one point")
    if keep not in KEEP:
        raise InputError(f"keep must be one of {', '.join(KEEP)}, but {keep!r} came")
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, but {method!r} came")
    if calibration < 1 or latency_batch < 1:
        raise InputError(f"calibration and latency_batch must be 1 or more, but {calibration} and {latency_batch} came")


def _split(
    images: Any, labels: Any, held_out: Any, calibration: int, batch_size: int, seed: int
) -> tuple[Calibration, Calibration]:
    """Return the images that fix the ranges and those that the drop is measured on."""
    if held_out is not None:
        chosen = gather(images, labels, limit=calibration, batch_size=batch_size, seed=seed)
        held = gather_held_out(held_out, batch_size=batch_size, seed=seed)
    else:
        every = gather(images, labels, limit=EVERY, batch_size=batch_size, seed=seed)
        if len(every) < 4:
            raise InputError(f"4 images or more are needed to calibrate on half of them, but {len(every)} came")
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(every)))
        count = min(calibration, len(every) // 2)
        chosen, held = (_part(every, rows) for rows in (order[:count], order[count:]))
    if held.labels is not None and held.labels.dtype.kind not in "iu":
        raise InputError("labels must be the network's output indices (integers), but names came; leave them out?")
    return chosen, held


def _exported(model: nn.Module | OnnxModel, chosen: Calibration, threads: int | None) -> OnnxModel:
    if not isinstance(model, OnnxModel):
        return export_onnx(model, chosen.images, threads=threads)
    return model if threads in (None, model.threads) else OnnxModel(model.data, threads=threads)


def _part(every: Calibration, rows: torch.Tensor) -> Calibration:
    labels = None if every.labels is None else every.labels[rows.numpy()]
    return Calibration(images=every.images[rows], labels=labels, batch_size=every.batch_size)


def _latencies(float32: OnnxModel, int8: OnnxModel, held: Calibration, batch: int) -> dict[str, Latency]:
    images = held.images.repeat(-(-batch // len(held)), 1, 1, 1)[:batch].numpy()
    return measure_latency({"float32": partial(float32, images), "int8": partial(int8, images)}, runs=_RUNS)


def _reason_against(float32: OnnxModel, int8: OnnxModel | None, latencies: dict[str, Latency], keep: str) -> str:
    """Return why 8 bits are not kept; empty if they are."""
    if int8 is None:
        return "more than max_drop is lost with any layer in 8 bits"
    speed_up = latencies["int8"].speed_up_over(latencies["float32"])
    if keep == "faster" and speed_up <= 1:
        return f"8 bits are not faster here: {speed_up:.2f} times the speed of float32"
    if keep == "smaller" and len(int8.data) >= len(float32.data):
        return f"8 bits are not smaller: {len(int8.data)} bytes instead of {len(float32.data)}"
    return ""
