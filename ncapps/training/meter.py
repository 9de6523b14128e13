"""How far the collapse has come: accuracy and NC1..NC4 from one pass over the features."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ncapps.collapse import measure_collapse
from ncapps.features.backbone import Backbone
from ncapps.training.dataset import Dataset
from ncapps.training.heads import CollapseHead


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One epoch of training; measures are None in epochs that were not measured.

    Parameters
    ----------
    epoch : int
        The first is 1.
    loss : float
        Mean over the epoch's batches.
    batch_accuracy : float
        Part of the epoch's own (augmented) training images that were classified right as they passed.
    learning_rate : float
        Of the epoch's last step.
    seconds : float
        Spent on the epoch, its measurement included.
    train_accuracy, val_accuracy : float or None
        On the measured training images, un-augmented, and on the validation images, in evaluation mode.
    nc1 : float or None
        tr(S_w S_b^+) / K on the measured training images: 0 = every image lies on its class mean.
    nc2_equinorm, nc2_equiangularity, nc3, nc4 : float or None
        As in `ncapps.collapse.CollapseReport`; for nc4 higher = more agreement, for the others 0 = collapsed.
    """

    epoch: int
    loss: float
    batch_accuracy: float
    learning_rate: float
    seconds: float
    train_accuracy: float | None = None
    val_accuracy: float | None = None
    nc1: float | None = None
    nc2_equinorm: float | None = None
    nc2_equiangularity: float | None = None
    nc3: float | None = None
    nc4: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """A head as the collapse measures want it."""

    weight: torch.Tensor
    bias: torch.Tensor | None


@torch.inference_mode()
def evaluate(
    backbone: Backbone, head: CollapseHead, data: Dataset, positions: torch.Tensor | None = None, batch_size: int = 256
) -> tuple[torch.Tensor, float]:
    """Return float32 features (images, feature width) on the CPU and the head's accuracy, in evaluation mode."""
    model = backbone.model
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    positions = torch.arange(len(data)) if positions is None else positions
    features, right = [], 0
    for batch in positions.split(batch_size):
        batch = batch.to(data.pixels.device)
        values, _ = backbone.forward(backbone.preprocessing.normalise(data.pixels[batch].to(device)))
        right += int((head(values)[:, : len(data.classes)].argmax(1) == data.targets[batch].to(device)).sum())
        features.append(values.cpu())
    model.train(training)
    return torch.cat(features), right / len(positions)


def measure(
    backbone: Backbone, head: CollapseHead, train: Dataset, positions: torch.Tensor, validation: Dataset | None
) -> dict[str, float | None]:
    """Return the measured fields of an `EpochRecord` by name."""
    features, accuracy = evaluate(backbone, head, train, positions)
    targets = train.targets[positions.to(train.targets.device)].cpu().numpy()
    classes = len(train.classes)
    bias = None if head.scale is not None or head.linear.bias is None else head.linear.bias[:classes]
    report = measure_collapse(features.numpy(), targets, _Rows(weight=head.rows[:classes].detach(), bias=bias))
    return {
        "train_accuracy": accuracy,
        "val_accuracy": None if validation is None else evaluate(backbone, head, validation)[1],
        "nc1": report.nc1,
        "nc2_equinorm": report.nc2_equinorm,
        "nc2_equiangularity": report.nc2_equiangularity,
        "nc3": report.nc3,
        "nc4": report.nc4_agreement,
    }
