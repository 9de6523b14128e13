"""Turned images as classes of their own: features then keep more than the known classes need, for those added later.

Lee, Hwang and Shin (ICML 2020) train on joint labels of class and turn; here the added rows are dropped at the end.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

TURNS = 4


def with_turned(
    batch: Tensor, targets: Tensor, classes: int, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Append the first images of a batch once more, each turned by 90, 180 or 270 degrees.

    Parameters
    ----------
    batch : Tensor
        Square images, (images, channels, side, side).
    targets : Tensor
        Positions of the classes, (images,).
    classes : int
        Number of real classes; class c turned by k quarter turns is class c + k * classes.
    fraction : float
        Part of the batch that is repeated, in [0, 1].

    Examples
    --------
    >>> with_turned(torch.zeros(4, 3, 8, 8), torch.arange(4), 4, 0.5, torch.Generator().manual_seed(0))[1].shape
    torch.Size([6])
    """
    count = round(fraction * len(batch))
    if not count:
        return batch, targets
    turns = torch.randint(1, TURNS, (count,), generator=generator).to(batch.device)
    turned = batch[:count].clone()
    for quarter in range(1, TURNS):
        chosen = turns == quarter
        turned[chosen] = torch.rot90(turned[chosen], quarter, dims=(2, 3))
    return torch.cat([batch, turned]), torch.cat([targets, targets[:count] + turns * classes])


@torch.no_grad()
def keep_rows(linear: nn.Linear, classes: int) -> None:
    """Cut a linear layer down to its first rows, in place."""
    linear.weight = nn.Parameter(linear.weight[:classes].clone())
    if linear.bias is not None:
        linear.bias = nn.Parameter(linear.bias[:classes].clone())
    linear.out_features = classes
