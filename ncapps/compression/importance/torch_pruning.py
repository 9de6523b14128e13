"""torch-pruning's own importances, for comparison: its scores of each width, its order of removal."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ncapps.compression.calibration import Calibration
from ncapps.compression.widths import InnerWidth
from ncapps.errors import InputError

# What each class of torch_pruning.importance has to see first: nothing, the loss's gradient, or activations.
TORCH_PRUNING: dict[str, tuple[str, dict[str, Any], str]] = {
    "tp_l1": ("GroupMagnitudeImportance", {"p": 1}, ""),
    "tp_l2": ("GroupMagnitudeImportance", {"p": 2}, ""),
    "tp_batchnorm_scale": ("BNScaleImportance", {}, ""),
    "tp_lamp": ("LAMPImportance", {}, ""),
    "tp_fpgm": ("FPGMImportance", {}, ""),
    "tp_random": ("RandomImportance", {}, ""),
    "tp_taylor": ("GroupTaylorImportance", {}, "gradient"),
    "tp_hessian": ("GroupHessianImportance", {}, "gradients"),
    "tp_activation": ("ActivationImportance", {}, "activations"),
}
SAMPLES = 64
"""Images whose gradients are taken one by one."""


def torch_pruning_scores(
    model: nn.Module, example: torch.Tensor, widths: Sequence[InnerWidth], name: str, images: Calibration, *, seed: int
) -> list[np.ndarray]:
    """Return the score of each channel of each width; the lowest goes first.

    Each score is torch-pruning's for the whole dependency group of the width, faults of that library included: its
    Hessian keeps the last image's gradient alone, and its activations those of the last batch.

    Parameters
    ----------
    name : str
        A name in `TORCH_PRUNING`.
    images : Calibration
        For gradients, with labels that are the network's output indices.

    Raises
    ------
    InputError
        If gradients are asked for and there are no such labels.
    """
    import torch_pruning

    kind, settings, needs = TORCH_PRUNING[name]
    scorer: Any = getattr(torch_pruning.importance, kind)(**settings)
    work = copy.deepcopy(model).eval().requires_grad_(True)
    with torch.random.fork_rng(), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        graph: Any = torch_pruning.DependencyGraph()
        graph.build_dependency(work, example, unwrapped_parameters=[], customized_pruners={}, ignored_layers=[])
        _PREPARE[needs](work, scorer, images, name)
        return [_scores_of(graph, scorer, work.get_submodule(width.producer), width, name) for width in widths]


def _scores_of(graph: Any, scorer: Any, root: nn.Module, width: InnerWidth, name: str) -> np.ndarray:
    pruner = graph.get_pruner_of_module(root)
    group = graph.get_pruning_group(root, pruner.prune_out_channels, list(range(width.channels)))
    scores = scorer(group)
    if scores is None:
        raise InputError(f'importance "{name}" has no score for {width.producer}; is there a batch norm behind it?')
    return scores.detach().cpu().numpy().astype(np.float64)


def _codes(images: Calibration, name: str) -> torch.Tensor:
    if images.labels is None or images.labels.dtype.kind not in "iu":
        raise InputError(f'importance "{name}" needs labels that are the network\'s output indices; pass labels')
    return torch.from_numpy(images.labels.astype(np.int64))


def _gradient(model: nn.Module, scorer: Any, images: Calibration, name: str) -> None:
    device = next(model.parameters()).device
    codes = _codes(images, name).split(images.batch_size)
    for batch, wanted in zip(images.batches(device), codes, strict=True):
        F.cross_entropy(model(batch), wanted.to(device)).backward()


def _gradients(model: nn.Module, scorer: Any, images: Calibration, name: str) -> None:
    device = next(model.parameters()).device
    codes = _codes(images, name)
    scorer.zero_grad()
    for image, wanted in zip(images.images[:SAMPLES], codes[:SAMPLES], strict=True):
        model.zero_grad()
        F.cross_entropy(model(image[None].to(device)), wanted[None].to(device)).backward()
        scorer.accumulate_grad(model)


def _activations(model: nn.Module, scorer: Any, images: Calibration, name: str) -> None:
    with torch.no_grad(), scorer.compute_importance(model):
        for batch in images.batches(next(model.parameters()).device):
            model(batch)


def _nothing(model: nn.Module, scorer: Any, images: Calibration, name: str) -> None:
    pass


_PREPARE: dict[str, Callable[[nn.Module, Any, Calibration, str], None]] = {
    "": _nothing,
    "gradient": _gradient,
    "gradients": _gradients,
    "activations": _activations,
}
