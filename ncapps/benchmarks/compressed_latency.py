"""How much faster a pruned and an 8-bit network is than the dense one: ONNX Runtime, all arms in one run."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import metadata
from typing import Any

import torch
from torch import nn

from ncapps.benchmarks.environment import environment
from ncapps.compression import Compressed, OnnxModel, compress, count_macs, export_onnx, quantize
from ncapps.compression.int8 import overflows_in_8_bits
from ncapps.compression.latency import Latency, measure_latency
from ncapps.errors import InputError
from ncapps.features import BackboneSpec, build_model

_logger = logging.getLogger(__name__)
DENSE = "dense float32"


@dataclass(frozen=True, kw_only=True)
class LatencySettings:
    """A network of random weights, what is done to it, and the batches that are timed.

    Weights and images are random: how long a network takes does not depend on them, what it answers does, so that
    nothing is said of its answers here. What does depend on them is which layers "loss" cuts most, and a layer of few
    channels on a large map saves less time than operations; so both allocations are timed.

    Parameters
    ----------
    output : str
        The JSON file for the figures.
    name : str
        The timm name.
    model_kwargs : dict
        What the model is built with beyond its name.
    image_size : int
        Side in pixels.
    macs : float
        The fraction of multiply-accumulates that pruning leaves.
    importance : str
        How channels are chosen.
    allocations : tuple of str
        How the target is shared out over the layers; one pruned network each.
    repair : bool
        Whether the pruned network is refitted, which changes its weights but not its time.
    images : int
        Random images for pruning and calibration.
    batches, runs : tuple of int
        Images in a call, and how many rounds of it count.
    warmup : int
        Rounds before them that do not.
    threads : int
        Threads of ONNX Runtime.
    seed : int
        Of weights and images.
    """

    output: str
    name: str = "resnet18"
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    image_size: int = 224
    macs: float = 0.5
    importance: str = "obs"
    allocations: tuple[str, ...] = ("loss", "uniform")
    repair: bool = True
    images: int = 32
    batches: tuple[int, ...] = (1, 32)
    runs: tuple[int, ...] = (100, 30)
    warmup: int = 10
    threads: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.batches or len(self.batches) != len(self.runs) or min(*self.batches, *self.runs) < 1:
            raise InputError(f"each of the batches has its runs, but {self.batches} and {self.runs} came")


def measure_compressed_latency(settings: LatencySettings) -> dict[str, Any]:
    """Prune, quantize, export, and time all networks turn by turn.

    Returns
    -------
    dict
        `networks`: size, parameters and multiply-accumulates of each; `latency`: for each batch, p50 and p95 in
        milliseconds of each network, images a second, and how many times as fast as the dense one it is (the median
        over the rounds).
    """
    model = build_model(BackboneSpec(name=settings.name, model_kwargs=settings.model_kwargs), seed=settings.seed).eval()
    side = settings.image_size
    generator = torch.Generator().manual_seed(settings.seed)
    images = torch.randn(settings.images, 3, side, side, generator=generator)
    small = {f"pruned by {how}": _pruned(model, images, how, settings) for how in settings.allocations}
    networks: dict[str, OnnxModel] = {}
    costs: dict[str, dict[str, Any]] = {}
    for name, network in {"dense": model, **{name: one.model for name, one in small.items()}}.items():
        cost = {"macs": count_macs(network, images[:1]), "parameters": sum(p.numel() for p in network.parameters())}
        float32 = export_onnx(network, images, threads=settings.threads)
        int8 = quantize(float32, images, keep="always", max_drop=None, batch_size=8, seed=settings.seed).model
        for bits, arm in (("float32", float32), ("int8", int8)):
            networks[f"{name} {bits}"] = arm
            costs[f"{name} {bits}"] = {"bytes": len(arm.data), **cost}
    return {
        "settings": asdict(settings),
        "environment": environment(
            onnxruntime=metadata.version("onnxruntime"),
            timed_threads=settings.threads,
            vnni=not overflows_in_8_bits(),
        ),
        "macs_ratio": {name: one.report.macs_ratio for name, one in small.items()},
        "widths_after": {name: one.report.widths_after for name, one in small.items()},
        "networks": costs,
        "latency": [
            _row(networks, batch, runs, settings) for batch, runs in zip(settings.batches, settings.runs, strict=True)
        ],
    }


def _pruned(model: nn.Module, images: torch.Tensor, allocation: str, settings: LatencySettings) -> Compressed:
    small = compress(
        model, images, macs=settings.macs, importance=settings.importance, allocation=allocation,
        repair=settings.repair, batch_size=8, seed=settings.seed,
    )  # fmt: skip
    _logger.info("%s: %.1f %% in %.0f s", allocation, 100 * small.report.macs_ratio, small.report.seconds)
    return small


def _row(networks: dict[str, OnnxModel], batch: int, runs: int, settings: LatencySettings) -> dict[str, Any]:
    side = settings.image_size
    images = torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(settings.seed)).numpy()
    arms = {name: partial(network, images) for name, network in networks.items()}
    times = measure_latency(arms, runs=runs, warmup=settings.warmup)
    row = {
        "batch": batch,
        "runs": runs,
        "arms": {name: _figures(one, times[DENSE], batch) for name, one in times.items()},
    }
    _logger.info(
        "batch %d: %s",
        batch,
        "; ".join(f"{name} {one['p50_ms']:.2f} ms, {one['speed_up']:.2f} x" for name, one in row["arms"].items()),
    )
    return row


def _figures(one: Latency, dense: Latency, batch: int) -> dict[str, float]:
    return {
        "p50_ms": one.p50_ms,
        "p95_ms": one.p95_ms,
        "least_ms": min(one.times_ms),
        "images_per_second": 1e3 * batch / one.p50_ms,
        "speed_up": one.speed_up_over(dense),
        "speed_up_by_p50": dense.p50_ms / one.p50_ms,
        "speed_up_by_least": min(dense.times_ms) / min(one.times_ms),
    }
