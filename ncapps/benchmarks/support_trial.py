"""Try to prune one architecture of timm: half its inner widths, held against the gate, saved and loaded."""

from __future__ import annotations

import copy
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ncapps.benchmarks.support_settings import SupportSettings
from ncapps.compression import Compressed, load_compressed
from ncapps.compression.calibration import gather
from ncapps.compression.gate import TOLERANCE, relative_errors
from ncapps.compression.macs import count_macs
from ncapps.compression.preparation import exact_probe, working_copy
from ncapps.compression.result import shapes_of
from ncapps.compression.summary import ask_dense, make_plan, make_report
from ncapps.compression.surgery import shrunk_copy, zeroed_copy
from ncapps.errors import InputError
from ncapps.features import BackboneSpec, build_model

WORKS, REFUSED = "works", "refused"


def examine_architecture(name: str, settings: SupportSettings) -> dict[str, Any]:
    """Cut one architecture to half its inner widths without repair, and check all that is promised of that.

    Returns
    -------
    dict
        `status`; `image_size` and `model_kwargs`; `widths`, their number; `macs_left` and `params_left`, as fractions;
        `gate_error`, the largest relative error against the dense network with the same inputs ignored; `effect`, by
        how much the cut changes the output; or the `reason` why it is refused.

    Raises
    ------
    RuntimeError
        If one of the checks fails: nothing of that may happen with a network that compress takes.
    """
    start = time.perf_counter()
    kwargs, images = _fitting(name, settings)
    model = _build(name, kwargs, settings.seed)
    before = copy.deepcopy(model.state_dict())
    found = {"image_size": images.shape[-1], "model_kwargs": kwargs}
    try:
        dense = working_copy(model)
        probe = exact_probe(dense, images[:2], settings.trace_limit)
    except InputError as error:
        _check(_same(before, model.state_dict()), "the refused network was changed")
        return {"status": REFUSED, **found, "reason": str(error)}
    kept = [list(range(0, width.channels, 2)) for width in probe.widths]
    error = max(relative_errors(dense, probe.widths, kept, images[:2]))
    _check(error < TOLERANCE, f"the gate's error is {error:.1e}")
    half = shrunk_copy(dense, probe.widths, kept)
    for width, channels in zip(probe.widths, kept, strict=True):
        shapes = [half.get_parameter(f"{one}.weight").shape for one in (width.producer, width.consumer)]
        _check(shapes[0][0] == shapes[1][1] == len(channels) < width.channels, f"{width.producer} did not shrink")
    effect = _effect(dense, zeroed_copy(dense, probe.widths, kept), images)
    _check(effect >= settings.least_effect, f"the cut changes the output by {effect:.1e} only")
    chosen = gather(images, None, limit=len(images), batch_size=len(images), seed=settings.seed)
    macs = (count_macs(dense, images[:1]), count_macs(half, images[:1]))
    plan = make_plan(dense, half, probe, kept, "every second", settings.seed, False, macs)
    report = make_report(plan, ask_dense(dense, probe, chosen, None), half, start)
    small = Compressed(model=half, plan=plan, report=report, dense_shapes=shapes_of(model))
    _check_saved(small, _build(name, kwargs, settings.seed + 1), images)
    _check(_same(before, model.state_dict()), "the network was changed")
    return {
        "status": WORKS,
        **found,
        "widths": len(probe.widths),
        "macs_left": report.macs_ratio,
        "params_left": report.params_after / report.params_before,
        "gate_error": error,
        "effect": effect,
    }


def randomise(model: nn.Module, seed: int) -> None:
    """Give every parameter and running statistic a random value of sensible size, in place.

    Gains, layer scales and variances lie between 0.5 and 1.5: freshly built they are 1, or so small that a branch may
    be cut wrongly and nobody sees it.
    """
    generator = torch.Generator().manual_seed(seed)
    statistics = [(name, one) for name, one in model.named_buffers() if name.endswith(("running_mean", "running_var"))]
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *statistics]:
            if tensor.ndim > 1:
                tensor.normal_(std=tensor[0].numel() ** -0.5, generator=generator)
            elif name.endswith(("bias", "running_mean")):
                tensor.normal_(std=0.2, generator=generator)
            else:
                tensor.uniform_(0.5, 1.5, generator=generator)


def _build(name: str, model_kwargs: dict[str, Any], seed: int) -> nn.Module:
    model = build_model(BackboneSpec(name=name, model_kwargs=model_kwargs), seed=seed).eval()
    randomise(model, seed)
    return model


def _fitting(name: str, settings: SupportSettings) -> tuple[dict[str, Any], torch.Tensor]:
    """Return with which arguments the model takes small images, and such images; its own size, where it takes none."""
    side = settings.image_size
    generator = torch.Generator().manual_seed(settings.seed)
    for kwargs in ({}, {"img_size": side}):
        images = torch.randn(settings.images, 3, side, side, generator=generator)
        try:
            # A model of its own: some keep what they computed, and cannot be copied then.
            with torch.no_grad():
                _build(name, kwargs, settings.seed)(images[:2])
        except (InputError, RuntimeError, ValueError, AssertionError, TypeError, IndexError):
            continue
        return kwargs, images
    own: Any = build_model(BackboneSpec(name=name), seed=settings.seed)
    return {}, torch.randn(settings.images, *own.pretrained_cfg["input_size"], generator=generator)


def _effect(dense: nn.Module, cut: nn.Module, images: torch.Tensor) -> float:
    with torch.no_grad():
        before, after = dense(images), cut(images)
    return float((after - before).norm() / before.norm())


def _check_saved(small: Compressed, fresh: nn.Module, images: torch.Tensor) -> None:
    """Save, load, and compare on batches of other sizes than the network was traced with."""
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        small.save(Path(folder) / "small")
        again = load_compressed(Path(folder) / "small", fresh).model
        for count in (2, 3):
            outputs = small.model(images[:count])
            _check(len(outputs) == count and bool(outputs.isfinite().all()), f"a batch of {count} gives no numbers")
            _check(torch.equal(outputs, again(images[:count])), "loaded again, the outputs are other ones")


def _same(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> bool:
    return before.keys() == after.keys() and all(torch.equal(one, after[name]) for name, one in before.items())


def _check(holds: bool, words: str) -> None:
    if not holds:
        raise RuntimeError(words)
