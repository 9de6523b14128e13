"""Prune for some of the classes only: cut the other outputs off, leave the other images out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from ncapps.compression.calibration import Calibration
from ncapps.compression.preparation import working_copy
from ncapps.compression.probe import probe
from ncapps.compression.surgery import keep_outputs
from ncapps.errors import InputError


def cut_outputs(model: nn.Module, example: torch.Tensor, classes: Sequence[int]) -> nn.Module:
    """Return a copy of a classifier with these outputs left, in this order.

    Raises
    ------
    InputError
        If no single layer gives the network's output, or a class is none of its outputs.
    """
    small = working_copy(model)
    name = probe(small, example.to(next(small.parameters()).device), []).classifier
    layer = small.get_submodule(name) if name else None
    if not isinstance(layer, nn.Linear):
        raise InputError(f"classes need a network whose last layer is linear; that of {type(model).__name__} is not")
    if not all(0 <= k < layer.out_features for k in classes):
        raise InputError(f"classes are outputs of the network, 0 to {layer.out_features - 1}, but {list(classes)} came")
    keep_outputs(layer, classes)
    return small


def only_classes(images: Calibration, classes: Sequence[int], *, limit: int, seed: int) -> Calibration:
    """Return at most `limit` of the images of these classes, their labels counted anew: label i is `classes[i]`.

    Raises
    ------
    InputError
        If there are no integer labels, fewer than two classes or one named twice, or no image of a class.
    """
    wanted = [int(k) for k in classes]
    if len(wanted) < 2 or len(set(wanted)) < len(wanted):
        raise InputError(f"classes must name two outputs or more, each once, but {wanted} came")
    labels = images.labels
    if labels is None or labels.dtype.kind not in "iu":
        raise InputError("classes need labels that are the network's output indices; pass labels")
    missing = sorted(set(wanted) - set(labels.tolist()))
    if missing:
        raise InputError(f"there is no image of class {missing[0]}; the labels hold {sorted(set(labels.tolist()))}")
    chosen = np.flatnonzero(np.isin(labels, wanted))
    if len(chosen) > limit:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, size=limit, replace=False))
    codes = np.asarray([wanted.index(label) for label in labels[chosen].tolist()])
    return replace(images, images=images.images[torch.from_numpy(chosen)], labels=codes)
