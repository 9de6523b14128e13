"""What changes from step to step, as pure functions of the step and the seed: learning rate, order and randomness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from ncapps.training.settings import TrainSettings


class RateSettings(Protocol):
    """What of a run's settings decides its learning rate; see `TrainSettings`."""

    @property
    def learning_rate(self) -> float:
        """The highest rate."""
        ...

    @property
    def warmup(self) -> float:
        """Part of all steps over which the rate climbs."""
        ...


def learning_rate_at(step: int, total_steps: int, settings: RateSettings) -> float:
    """Return the rate of a step: a linear climb over the warmup, then a cosine to zero.

    Examples
    --------
    >>> settings = TrainSettings(learning_rate=0.2, warmup=0.1)
    >>> [round(learning_rate_at(step, 100, settings), 3) for step in (0, 9, 10, 55, 99)]
    [0.02, 0.2, 0.2, 0.1, 0.0]
    """
    warmup_steps = round(settings.warmup * total_steps)
    if step < warmup_steps:
        return settings.learning_rate * (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def stepped_rate_at(
    step: int, total_steps: int, settings: RateSettings, milestones: Sequence[float], decay: float
) -> float:
    """Return the rate of a step: a linear climb over the warmup, then multiplied by `decay` at each milestone.

    Parameters
    ----------
    milestones : sequence of float
        Parts of all steps, in (0, 1).

    Examples
    --------
    >>> settings = TrainSettings(learning_rate=0.01, warmup=0.0)
    >>> [round(stepped_rate_at(step, 100, settings, (0.6, 0.8), 0.1), 6) for step in (0, 59, 60, 80)]
    [0.01, 0.01, 0.001, 0.0001]
    """
    warmup_steps = round(settings.warmup * total_steps)
    if step < warmup_steps:
        return settings.learning_rate * (step + 1) / warmup_steps
    passed = sum(step >= round(milestone * total_steps) for milestone in milestones)
    return settings.learning_rate * decay**passed


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of an epoch's own randomness.

    Each epoch starts its generators anew, so what it draws depends on the seed and its number alone: a run that is
    taken up again at an epoch's start needs no stored generator to go on exactly as it would have.
    """
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def batches(images: int, batch_size: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Return an epoch's batches of positions, shuffled; a smaller last one is left out unless it is the only one."""
    order = torch.randperm(images, generator=generator)
    if images <= batch_size:
        return [order]
    return list(order[: images - images % batch_size].split(batch_size))


def augmentation_of(epoch: int, settings: TrainSettings) -> str:
    """Return the kind of augmentation in an epoch (the first is 0): none in the terminal phase."""
    final = round(settings.final_fraction_without_augmentation * settings.epochs)
    return "none" if epoch >= settings.epochs - final else settings.augment
