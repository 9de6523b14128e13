"""From a prepared network to a smaller one, for each of several targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from ncapps.compression.batchnorm import batchnorm_names, reestimate_batchnorms
from ncapps.compression.calibration import Calibration
from ncapps.compression.elimination import Ranking
from ncapps.compression.expected_loss import after_repair
from ncapps.compression.macs import count_macs
from ncapps.compression.preparation import Preparation
from ncapps.compression.repair import repair as refit
from ncapps.compression.result import Compressed
from ncapps.compression.summary import DenseAnswers, ask_dense, make_plan, make_report
from ncapps.errors import InputError

ALLOCATIONS = ("loss", "repaired", "uniform")


@dataclass(frozen=True, kw_only=True)
class How:
    """The settings that are the same for every target; `compress` says what they mean."""

    importance: str
    allocation: str
    seed: int
    repair: bool | str
    views: int
    progress: bool


@dataclass(frozen=True, kw_only=True)
class Work:
    """A prepared and ranked network."""

    prepared: Preparation
    rankings: tuple[Ranking, ...]
    how: How
    answers: DenseAnswers

    def build(
        self, unit: str, target: float, *, classes: Sequence[int] | None, shapes: dict[str, list[int]], start: float
    ) -> Compressed:
        """Choose, cut and repair for one target."""
        ready, how = self.prepared, self.how
        kept = ready.choose(self.rankings, target, unit=unit, allocation=how.allocation)
        small = ready.cut(kept)
        if how.repair == "batchnorm":
            reestimate_batchnorms(small, batchnorm_names(small), ready.calibration)
        elif how.repair:
            refit(
                small, ready.dense, ready.probe, kept, ready.calibration, views=how.views, seed=how.seed,
                progress=how.progress,
            )  # fmt: skip
        macs = (ready.macs, count_macs(small, ready.example))
        plan = make_plan(ready.dense, small, ready.probe, kept, how.importance, how.seed, how.repair is True, macs)
        plan = replace(plan, classes=None if classes is None else tuple(int(k) for k in classes))
        report = make_report(plan, self.answers, small, start)
        return Compressed(model=small, plan=plan, report=report, dense_shapes=shapes)


def rank_and_ask(prepared: Preparation, how: How, held: Calibration | None) -> Work:
    """Put the channels of a prepared network into their order, and ask the dense one about all images."""
    rankings = prepared.rank(how.importance, how.seed, progress=how.progress)
    if how.allocation == "repaired":
        rankings = after_repair(prepared, rankings, progress=how.progress)
    answers = ask_dense(prepared.dense, prepared.probe, prepared.calibration, held)
    return Work(prepared=prepared, rankings=rankings, how=how, answers=answers)


def check(model: nn.Module, how: How) -> None:
    """Refuse unknown settings, and what is no float32 network.

    Raises
    ------
    InputError
        In one line, with what there is instead.
    """
    if how.allocation not in ALLOCATIONS:
        raise InputError(f"allocation {how.allocation!r} is unknown; there are {', '.join(ALLOCATIONS)}")
    if how.repair not in (True, False, "batchnorm"):
        raise InputError(f'repair is True, False or "batchnorm", but {how.repair!r} came')
    if how.allocation == "repaired" and how.repair is not True:
        raise InputError(f'allocation "repaired" counts on the repair, but repair={how.repair!r} came; take "loss"')
    if how.views < 1:
        raise InputError(f"views must be 1 or more, but {how.views} came; 1 is the image alone")
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch network (nn.Module), but {type(model).__name__} came")
    kinds = {p.dtype for p in model.parameters()}
    if kinds != {torch.float32}:
        names = ", ".join(sorted(str(kind) for kind in kinds)) or "no parameters"
        raise InputError(f"compress works on float32 networks, but this one has {names}; call model.float() first")
