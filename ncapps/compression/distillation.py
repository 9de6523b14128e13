"""What a small network learns from the dense one: its softened answers and its features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def logits_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return the mean divergence of the student's softened answers from the teacher's; 0 = the same answers.

    T² KL(softmax(teacher / T) || softmax(student / T)), whose gradient keeps its size as T grows: Hinton, Vinyals and
    Dean (2015), section 2.

    Parameters
    ----------
    student, teacher : Tensor
        Logits (images, classes).
    temperature : float
        T: the larger, the more the wrong classes' logits count.

    Examples
    --------
    >>> logits = torch.tensor([[2.0, 0.0, -1.0]])
    >>> float(logits_loss(logits, logits, 4.0)), float(logits_loss(logits.flip(1), logits, 4.0)) > 1
    (0.0, True)
    """
    wanted = F.log_softmax(teacher / temperature, dim=1)
    given = F.log_softmax(student / temperature, dim=1)
    return temperature**2 * F.kl_div(given, wanted, reduction="batchmean", log_target=True)


def feature_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the squared distance of the student's features from the teacher's, as a fraction of the latter's spread.

    0 = the same features; 1 = no better than the batch's mean. Romero et al. (ICLR 2015), equation 3, without a
    regressor, for pruning inner widths leaves the features' width as it is.

    Parameters
    ----------
    student, teacher : Tensor
        Features (images, feature width).

    Examples
    --------
    >>> teacher = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> float(feature_loss(teacher, teacher)), float(feature_loss(torch.zeros(2, 2), teacher))
    (0.0, 1.0)
    """
    spread = (teacher - teacher.mean(dim=0)).square().sum()
    return (student - teacher).square().sum() / spread.clamp_min(1e-12)


@contextmanager
def inputs_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list that holds what the layer read last, as one tensor (images, width); empty before it runs.

    Examples
    --------
    >>> layer = nn.Linear(2, 1)
    >>> with inputs_of(layer) as read:
    ...     _ = layer(torch.ones(3, 2))
    >>> read[0].shape
    torch.Size([3, 2])
    """
    read: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        read[:] = [torch.flatten(inputs[0], 1)]

    handle = layer.register_forward_pre_hook(keep)
    try:
        yield read
    finally:
        handle.remove()
