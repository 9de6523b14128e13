"""Write down what was done to a network and what it cost: the plan and the report."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ncapps.compression.calibration import Calibration
from ncapps.compression.drop import Drop, measure_drop
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


def make_report(
    plan: CompressionPlan,
    dense: nn.Module,
    small: nn.Module,
    chosen: Calibration,
    held: Calibration | None,
    start: float,
) -> CompressionReport:
    """Compare both networks and return the report; `start` is the clock's reading at the beginning."""
    on_held = _drop(dense, small, held, labelled=True) if held is not None else None
    macs_ratio = plan.macs_after / plan.macs_before
    before, after = (sum(p.numel() for p in network.parameters()) for network in (dense, small))
    agreement = _drop(dense, small, chosen, labelled=False).agreement
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
        seconds=time.perf_counter() - start,
        front=(own,),
    )


def _drop(dense: nn.Module, small: nn.Module, images: Calibration, *, labelled: bool) -> Drop:
    labels = images.labels if labelled and images.labels is not None and images.labels.dtype.kind in "iu" else None
    return measure_drop(_outputs(dense, images), _outputs(small, images), labels)


def _outputs(model: nn.Module, images: Calibration) -> np.ndarray:
    device = next(model.parameters()).device
    with torch.no_grad():
        return torch.cat([model(batch).flatten(1).cpu() for batch in images.batches(device)]).numpy()
