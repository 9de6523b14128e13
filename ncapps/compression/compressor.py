"""The whole of compression: find the inner widths, measure, choose, cut, check, repair."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ncapps.compression.allocation import allocate
from ncapps.compression.calibration import Calibration, gather
from ncapps.compression.elimination import Ranking
from ncapps.compression.gate import TOLERANCE, exact_widths, relative_errors
from ncapps.compression.importance import IMPORTANCES
from ncapps.compression.macs import cost_model, count_macs
from ncapps.compression.moments import WidthMoments, collect_moments
from ncapps.compression.probe import Probe, probe
from ncapps.compression.repair import repair as refit
from ncapps.compression.result import Compressed, shapes_of
from ncapps.compression.summary import make_plan, make_report
from ncapps.compression.surgery import shrunk_copy
from ncapps.compression.widths import InnerWidth, find_inner_widths
from ncapps.errors import InputError

_logger = logging.getLogger(__name__)
LEAST_WIDTH = 1 / 16
"""The smallest fraction of an inner width that is left: a branch is never cut off."""
MOST_INPUTS = 8192
"""The most inputs (channels * kernel taps) of a layer that is refitted: the square of it has to be held in memory."""


def compress(
    model: nn.Module,
    images: Any,
    labels: Any = None,
    *,
    macs: float = 0.5,
    importance: str = "obs",
    calibration: int = 512,
    held_out: Any = None,
    batch_size: int = 128,
    example_input: torch.Tensor | None = None,
    seed: int = 0,
    repair: bool = True,
    time_limit: float = 60.0,
    progress: bool = True,
) -> Compressed:
    """Prune a trained network to a fraction of its multiply-accumulates and repair it, without training.

    Inner widths (the channels between one layer and the next inside a block) are cut, streams and features keep their
    width. Channels go in the order of the importance, shared out over the layers by least loss for each operation
    saved; the layers that write and read them are refitted by least squares, in order, so that each stream becomes the
    dense network's again; batch norms between them are re-estimated.

    Parameters
    ----------
    model : nn.Module
        A trained float32 network; it is not changed in any way.
    images : Tensor, ndarray or iterable
        Calibration images, preprocessed for the network: a float batch (images, channels, height, width), or an
        iterable of such batches or of (batch, labels) pairs. Some hundred suffice; training images are fine.
    labels : array-like, optional
        One label an image; only an importance that looks at classes needs them.
    macs : float
        The whole network's multiply-accumulates after, as a fraction of those before; between 0 and 1. The result
        costs at most this, and as near to it as whole channels allow.
    importance : str
        A name in `IMPORTANCES`.
    calibration : int
        The most calibration images that are used.
    held_out : Tensor or pair, optional
        Images, or (images, class indices), on which the report compares both networks.
    batch_size : int
        Images in a forward pass.
    example_input : Tensor, optional
        A batch for tracing the network; by default two calibration images.
    seed : int
        Seed of the choice of images and of random importances.
    repair : bool
        Whether to refit and re-estimate; without it the network is cut and nothing else, for comparison.
    time_limit : float
        Seconds after which tracing the network is given up.
    progress : bool
        Whether to show progress bars.

    Returns
    -------
    Compressed
        The new network, the plan and the report.

    Raises
    ------
    InputError
        If the target is not between 0 and 1 or out of reach, there are no calibration images or they are not finite,
        the network has no inner width that can be cut exactly or cannot be traced, or labels are needed and missing.

    Examples
    --------
    >>> import timm, torch
    >>> from ncapps.compression import compress
    >>> model = timm.create_model("resnet18", channels=(8, 16, 32, 64))
    >>> small = compress(model, torch.randn(8, 3, 32, 32), macs=0.8, progress=False)
    >>> 0.79 < small.report.macs_ratio <= 0.8
    True
    """
    start = time.perf_counter()
    _check_settings(model, macs, importance)
    chosen = gather(images, labels, limit=calibration, batch_size=batch_size, seed=seed)
    held = _held_out(held_out, batch_size, seed)
    dense = _working_copy(model)
    device = next(dense.parameters()).device
    example = (chosen.images[:2] if example_input is None else torch.as_tensor(example_input)).to(device, torch.float32)
    found = _exact_probe(dense, example, time_limit)
    moments = collect_moments(dense, found, chosen, least=LEAST_WIDTH, progress=progress)
    rankings = _rank(moments, importance, seed, progress)
    before = count_macs(dense, example)
    kept = _choose(found, moments, rankings, before, macs)
    small = _cut(dense, found, kept, example)
    if repair:
        refit(small, dense, found, kept, chosen, progress=progress)
    plan = make_plan(model, small, found, kept, importance, seed, repair, (before, count_macs(small, example)))
    return Compressed(
        model=small,
        plan=plan,
        report=make_report(plan, dense, small, chosen, held, start),
        dense_shapes=shapes_of(model),
    )


def _check_settings(model: nn.Module, macs: float, importance: str) -> None:
    if not 0 < macs < 1:
        raise InputError(f"macs is the fraction of operations to keep, between 0 and 1, but {macs!r} came")
    if importance not in IMPORTANCES:
        raise InputError(f"importance {importance!r} is unknown; there are {', '.join(sorted(IMPORTANCES))}")
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch network (nn.Module), but {type(model).__name__} came")
    kinds = {p.dtype for p in model.parameters()}
    if kinds != {torch.float32}:
        names = ", ".join(sorted(str(kind) for kind in kinds)) or "no parameters"
        raise InputError(f"compress works on float32 networks, but this one has {names}; call model.float() first")


def _held_out(held_out: Any, batch_size: int, seed: int) -> Calibration | None:
    if held_out is None:
        return None
    images, labels = held_out if isinstance(held_out, (tuple, list)) and len(held_out) == 2 else (held_out, None)
    return gather(images, labels, limit=2**62, batch_size=batch_size, seed=seed, name="held_out images")


def _working_copy(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model).eval()
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"{type(model).__name__} cannot be copied ({str(error).splitlines()[0][:120]}); "
            "give a freshly built model that has not run yet"
        ) from None


def _exact_probe(dense: nn.Module, example: torch.Tensor, time_limit: float) -> Probe:
    inner = find_inner_widths(dense, example, time_limit=time_limit)
    found = probe(dense, example, [width for width in inner if _fits(dense, width)])
    passed = set(exact_widths(dense, found.widths, example))
    if not passed:
        raise InputError(
            f"{type(dense).__name__} has no inner width that can be cut exactly: no layer is read by "
            "exactly one other, the classifier apart, through batch norm or activation alone"
        )
    places = [i for i, width in enumerate(found.widths) if width in passed]
    return replace(
        found,
        widths=tuple(found.widths[i] for i in places),
        branches=tuple(found.branches[i] for i in places),
        producers=tuple(found.producers[i] for i in places),
    )


def _fits(dense: nn.Module, width: InnerWidth) -> bool:
    inputs = dense.get_parameter(f"{width.consumer}.weight")[0].numel()
    if inputs > MOST_INPUTS:
        _logger.warning("%s is left at full width: its reader has %d inputs", width.producer, inputs)
    return inputs <= MOST_INPUTS


def _rank(moments: Sequence[WidthMoments], importance: str, seed: int, progress: bool) -> list[Ranking]:
    rng = np.random.default_rng(seed)
    steps = tqdm(moments, desc="selection", unit="layer", disable=None if progress else True, leave=False)
    return [IMPORTANCES[importance](one, rng) for one in steps]


def _choose(
    found: Probe, moments: Sequence[WidthMoments], rankings: Sequence[Ranking], total: int, macs: float
) -> list[list[int]]:
    channels = [width.channels for width in found.widths]
    cost = cost_model(total, found.widths, found.layer_macs)
    counts = allocate(rankings, [one.energy for one in moments], channels, cost, macs)
    return [
        sorted(set(range(width)) - set(ranking.order[: width - count]))
        for width, ranking, count in zip(channels, rankings, counts, strict=True)
    ]


def _cut(dense: nn.Module, found: Probe, kept: Sequence[Sequence[int]], example: torch.Tensor) -> nn.Module:
    worst = max(relative_errors(dense, found.widths, kept, example))
    if not worst < TOLERANCE:
        raise InputError(
            f"the pruned {type(dense).__name__} differs from the dense one with the same inputs ignored "
            f"(relative error {worst:.1e}); it cannot be cut exactly"
        )
    return shrunk_copy(dense, found.widths, kept)
