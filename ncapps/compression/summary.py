"""Write down what was done to a network and what it cost: the plan and the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from ncapps.compression.calibration import Calibration
from ncapps.compression.collapse_profile import DepthCollapse, PooledInputs, depths, profile_collapse
from ncapps.compression.drop import Drop, measure_drop
from ncapps.compression.heads import HeadWidth
from ncapps.compression.probe import Probe
from ncapps.compression.result import CompressionPlan, CompressionReport, FrontPoint, WidthPlan


def make_plan(
    model: nn.Module,
    small: nn.Module,
    found: Probe,
    kept: Sequence[Sequence[int]],
    importance: str,
    seed: int,
    repaired: bool,
    macs: tuple[int, int],
) -> CompressionPlan:
    """Return the plan of a network that was cut; `macs` are the operations before and after."""
    widths = tuple(
        WidthPlan(
            producer=width.producer,
            coupled=width.coupled,
            consumer=width.consumer,
            channels=width.channels,
            kept=tuple(channels),
            head_dim=width.head_dim if isinstance(width, HeadWidth) else None,
            further_producers=width.producers[1:],
            further_consumers=width.consumers[:-1],
        )
        for width, channels in zip(found.widths, kept, strict=True)
    )
    added = sorted(set(small.state_dict()) - set(model.state_dict()))
    return CompressionPlan(
        widths=widths,
        importance=importance,
        seed=seed,
        repaired=repaired,
        added_biases=tuple(name.removesuffix(".bias") for name in added),
        macs_before=macs[0],
        macs_after=macs[1],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseAnswers:
    """What the dense network says, taken once for all networks that are compared with it.

    Attributes
    ----------
    params : int
        Its parameters.
    chosen, held : Calibration
        Calibration images, and the held-out ones, where there are any.
    on_chosen, on_held : ndarray
        Its outputs for them, shape (images, classes).
    profile : tuple of DepthCollapse or None
        Its collapse profile on the calibration images, where these have labels.
    held_seconds : float
        How long it took to run it on the held-out images.
    """

    params: int
    chosen: Calibration
    held: Calibration | None
    on_chosen: np.ndarray
    on_held: np.ndarray | None
    profile: tuple[DepthCollapse, ...] | None
    held_seconds: float = 0.0


def ask_dense(dense: nn.Module, found: Probe, chosen: Calibration, held: Calibration | None) -> DenseAnswers:
    """Run the dense network on all images, the collapse profile being read off the same pass."""
    pooled = PooledInputs()
    with pooled.gathering(dense, () if chosen.labels is None else depths(found)):
        on_chosen = chosen.outputs(dense)
    start = time.perf_counter()
    on_held = None if held is None else held.outputs(dense)
    held_seconds = time.perf_counter() - start
    return DenseAnswers(
        params=sum(p.numel() for p in dense.parameters()),
        chosen=chosen,
        held=held,
        on_chosen=on_chosen,
        on_held=on_held,
        profile=None if chosen.labels is None else profile_collapse(pooled.values, chosen.labels),
        held_seconds=held_seconds,
    )


def make_report(plan: CompressionPlan, dense: DenseAnswers, small: nn.Module, start: float) -> CompressionReport:
    """Compare both networks and return the report; `start` is the clock's reading at the beginning."""
    held, chosen = dense.held, dense.chosen
    seconds = time.perf_counter() - start - dense.held_seconds
    on_held = _drop(dense.on_held, small, held) if held is not None and dense.on_held is not None else None
    macs_ratio = plan.macs_after / plan.macs_before
    before, after = dense.params, sum(p.numel() for p in small.parameters())
    agreement = measure_drop(dense.on_chosen, chosen.outputs(small)).agreement
    points = None if on_held is None else on_held.points
    own = FrontPoint(macs_ratio=macs_ratio, params_ratio=after / before, agreement=agreement, drop=points, chosen=True)
    return CompressionReport(
        macs_before=plan.macs_before,
        macs_after=plan.macs_after,
        params_before=before,
        params_after=after,
        widths_before={width.producer: width.channels for width in plan.widths},
        widths_after={width.producer: len(width.kept) for width in plan.widths},
        agreement=agreement,
        held_out_agreement=on_held.agreement if on_held else None,
        held_out_accuracy_before=on_held.accuracy_before if on_held else None,
        held_out_accuracy_after=on_held.accuracy_after if on_held else None,
        held_out_images=len(held) if held is not None else 0,
        drop=points,
        drop_interval=on_held.interval if on_held else None,
        images=len(chosen),
        seconds=seconds,
        front=(own,),
        collapse_profile=dense.profile,
    )


def _drop(before: np.ndarray, small: nn.Module, images: Calibration) -> Drop:
    return measure_drop(before, images.outputs(small), images.codes)
