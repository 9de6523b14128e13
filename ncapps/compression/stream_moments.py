"""The moments of a stream that several layers read, as those of one layer that reads it once for each of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from ncapps.compression.moments import WidthMoments


def join_readers(parts: Sequence[WidthMoments], *, most_inputs: int) -> WidthMoments:
    """Return moments whose losses are the sum of the readers' losses, each as a fraction of its own energy.

    Each reader is refitted by itself, so that the joint second moment is block diagonal: a channel's rows are its
    kernel taps in the first reader, then in the second one, and so on. The constants are taken out first, and each
    reader's inputs are brought to a mean square of 1, so that one ridge suits all.

    Parameters
    ----------
    parts : sequence of WidthMoments
        One for each reader of the same width.
    most_inputs : int
        The most rows of the joint moment; where the readers have more, evenly chosen ones of them stand for all.
    """
    channels = parts[0].width.channels
    total = channels * sum(part.taps for part in parts)
    step = math.ceil(total / most_inputs)
    chosen = list(parts[::step])
    taps = sum(part.taps for part in chosen)
    outputs = [part.weight.shape[1] for part in chosen]
    gram = chosen[0].gram.new_zeros((channels * taps + 1, channels * taps + 1))
    weight = chosen[0].weight.new_zeros((channels * taps + 1, sum(outputs)))
    gram[-1, -1] = 1.0
    first_tap = first_output = 0
    for part, count in zip(chosen, outputs, strict=True):
        own = torch.arange(channels, device=gram.device)[:, None] * taps + first_tap
        rows = (own + torch.arange(part.taps, device=gram.device)).flatten()
        mean = part.gram[:-1, -1]
        covariance = part.gram[:-1, :-1] - mean[:, None] * mean
        size = covariance.diagonal().mean().clamp_min(1e-30)
        gram[rows[:, None], rows] = covariance / size
        scale = (size * len(parts) / (len(chosen) * part.energy)).sqrt()
        weight[rows, first_output : first_output + count] = part.weight[:-1] * scale
        first_tap, first_output = first_tap + part.taps, first_output + count
    return replace(parts[0], taps=taps, gram=gram, weight=weight, energy=1.0)
