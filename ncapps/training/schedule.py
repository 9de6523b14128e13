"""What changes from step to step, as pure functions of the step and the seed: learning rate, order and randomness."""

from __future__ import annotations

import math

import numpy as np
import torch

from ncapps.training.settings import TrainSettings


def learning_rate_at(step: int, total_steps: int, settings: TrainSettings) -> float:
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
