"""`fine_tune`: train a compressed network further, with the dense one as its teacher; for those who have the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ncapps.compression.calibration import EVERY, Calibration, gather, gather_held_out
from ncapps.compression.class_subset import cut_outputs, only_classes
from ncapps.compression.fine_tuning_run import FineTuneRecord, FineTuneRun
from ncapps.compression.fine_tuning_settings import FineTuneSettings
from ncapps.compression.preparation import working_copy
from ncapps.compression.probe import probe
from ncapps.compression.result import Compressed, CompressionReport, shapes_of
from ncapps.compression.summary import DenseAnswers, make_report
from ncapps.errors import InputError
from ncapps.features.precision import choose_device
from ncapps.training.loop import own_randomness

_BATCH = 256
"""Images in a forward pass that compares answers."""
_COMPARED = 512
"""Of the images that are learned from, about so many at most are asked for the report's agreement."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FineTuned:
    """What `fine_tune` returns.

    Attributes
    ----------
    compressed : Compressed
        The fine-tuned network, with a plan that names its epochs and a report that is measured anew; saved and loaded
        as before. The very one that was given, where no epoch made it better.
    epoch : int
        The epoch whose weights these are; 0 = those that were given.
    history : tuple of FineTuneRecord
        One record an epoch.
    drop_before, drop_after : float or None
        Percentage points of accuracy lost against the dense network on the held-out images, before and after; of
        agreement, where they have no labels. The latter is never the larger.
    """

    compressed: Compressed
    epoch: int
    history: tuple[FineTuneRecord, ...]
    drop_before: float | None
    drop_after: float | None


def fine_tune(
    small: Compressed,
    dense: nn.Module,
    images: Any,
    labels: Any = None,
    *,
    settings: FineTuneSettings | None = None,
    held_out: Any = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    on_epoch: Callable[[FineTuneRecord], object] | None = None,
) -> FineTuned:
    """Train a compressed network further, with the dense network's logits and features as its target.

    Parameters
    ----------
    small : Compressed
        What `compress` or `load_compressed` returned; it is not changed.
    dense : nn.Module
        The network that was compressed, with its weights; it is not changed.
    images : Tensor, ndarray or iterable
        Images preprocessed for the network, as `compress` takes them. All are used, and many thousand are wanted: what
        a few hundred can teach, the repair has taken from them already.
    labels : array-like of int, optional
        The network's output index of each image; `label_weight` needs them, and so does a network pruned for some
        classes alone.
    settings : FineTuneSettings, optional
        How; the defaults where left out.
    held_out : Tensor or pair, optional
        Images, or (images, output indices), for choices: the weights of the epoch that loses least on them are kept,
        those that were given among them. A figure to publish needs other images. Without any, the last epoch's.
    checkpoint : path, optional
        Written after each `checkpoint_every` epochs; where it exists already, the run goes on from it, and ends with
        the very weights that it would have had without the interruption (on the same machine).
    progress : bool
        Show a progress bar on standard error.
    on_epoch : callable, optional
        Called with each epoch's record, once its checkpoint is written.

    Raises
    ------
    InputError
        If the dense network is another one, labels are needed and missing or no output's index, the features are asked
        for and no layer gives the network's output, the loss becomes infinite, or the checkpoint is of another run.

    Examples
    --------
    >>> import timm, torch
    >>> from ncapps.compression import compress
    >>> model = timm.create_model("resnet18", channels=(8, 16, 32, 64), num_classes=4)
    >>> images = torch.randn(32, 3, 32, 32)
    >>> small = compress(model, images, macs=0.8, progress=False)
    >>> tuned = fine_tune(small, model, images, settings=FineTuneSettings(epochs=1), progress=False)
    >>> tuned.compressed.plan.fine_tuned_epochs
    1
    """
    settings = settings or FineTuneSettings()
    _check_networks(small, dense)
    classes = small.plan.classes
    chosen = _of(classes, gather(images, labels, limit=EVERY, batch_size=_BATCH, seed=0))
    held = None if held_out is None else _of(classes, gather_held_out(held_out, batch_size=_BATCH))
    teacher = working_copy(dense) if classes is None else cut_outputs(dense, chosen.images[:2], classes)
    classifier = _classifier(teacher, chosen) if settings.feature_weight else None
    student = working_copy(small.model)
    answers = _ask(teacher, chosen, held, small)
    _check_labels(chosen, answers.on_chosen.shape[1], settings)
    before = _report(small, answers, student, 0).drop
    home, device = next(student.parameters()).device, choose_device(settings.device)
    with own_randomness(device):
        run = FineTuneRun(student, teacher, classifier, chosen, held, settings, device)
        if checkpoint is not None and Path(checkpoint).exists():
            run.resume(checkpoint)
        run.fit(checkpoint, on_epoch, progress)
    epoch, history = run.best_epoch, tuple(run.history)
    model = run.best.to(home).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    report = _report(small, answers, model, sum(record.seconds for record in history))
    # Rounding differs between the run's device and layout and those of use, and could make a tie a loss.
    if epoch == 0 or (before is not None and report.drop is not None and report.drop > before):
        return FineTuned(compressed=small, epoch=0, history=history, drop_before=before, drop_after=before)
    plan = replace(small.plan, fine_tuned_epochs=small.plan.fine_tuned_epochs + epoch)
    tuned = replace(small, model=model, plan=plan, report=report)
    return FineTuned(compressed=tuned, epoch=epoch, history=history, drop_before=before, drop_after=report.drop)


def _check_networks(small: Compressed, dense: nn.Module) -> None:
    if not isinstance(small, Compressed):
        raise InputError(
            f"fine_tune takes what compress or load_compressed returned, whole, but {type(small).__name__} came"
        )
    if shapes_of(dense) != small.dense_shapes:
        raise InputError(
            f"the {type(dense).__name__} given is not the dense network that was compressed: its tensors have other "
            "names or shapes"
        )


def _of(classes: tuple[int, ...] | None, images: Calibration) -> Calibration:
    return images if classes is None else only_classes(images, classes, limit=EVERY, seed=0)


def _classifier(teacher: nn.Module, chosen: Calibration) -> str:
    name = probe(teacher, chosen.images[:2].to(next(teacher.parameters()).device), []).classifier
    if name is None:
        raise InputError(
            f"no single layer gives the output of {type(teacher).__name__}, so that its features are not known; "
            "set feature_weight to 0"
        )
    return name


def _check_labels(chosen: Calibration, outputs: int, settings: FineTuneSettings) -> None:
    if len(chosen) < 2:
        raise InputError(f"fine-tuning needs many images, 2 at the very least, but {len(chosen)} came")
    if not settings.label_weight:
        return
    codes = chosen.codes
    if codes is None:
        raise InputError("label_weight needs labels that are the network's output indices; pass labels, or set it to 0")
    if not (0 <= codes.min() and codes.max() < outputs):
        raise InputError(
            f"labels are indices of the network's {outputs} outputs, 0 to {outputs - 1}, but {codes.min()} to "
            f"{codes.max()} came"
        )


def _ask(teacher: nn.Module, chosen: Calibration, held: Calibration | None, small: Compressed) -> DenseAnswers:
    some = replace(chosen, images=chosen.images[:: -(-len(chosen) // _COMPARED)], labels=None)
    return DenseAnswers(
        params=sum(parameter.numel() for parameter in teacher.parameters()),
        chosen=some,
        held=held,
        on_chosen=some.outputs(teacher),
        on_held=None if held is None else held.outputs(teacher),
        profile=small.report.collapse_profile,
    )


def _report(small: Compressed, answers: DenseAnswers, model: nn.Module, seconds: float) -> CompressionReport:
    report = make_report(small.plan, answers, model, time.perf_counter())
    return replace(
        report,
        seconds=small.report.seconds + seconds,
        latency_before_ms=small.report.latency_before_ms,
        latency_after_ms=small.report.latency_after_ms,
    )
