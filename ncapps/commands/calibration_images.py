"""A random choice of a data set's images as a network's input, for the verbs that calibrate on some hundred."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ncapps.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from ncapps.arrays import Label
    from ncapps.features import Backbone


def read_calibration_images(
    data: str, backbone: Backbone, count: int, seed: int
) -> tuple[Tensor, list[Label] | None, list[list[str]]]:
    """Return at most `count` images preprocessed for the network, their labels, and the unreadable ones with reasons.

    Raises
    ------
    InputError
        If the count is below 1 or no image can be read.
    """
    import torch

    from ncapps.features import UnreadableImage, open_images

    if count < 1:
        raise InputError(f"--images must be 1 or more, but {count} came")
    source = open_images(data)
    pixels, labels, skipped = [], [], []
    for index in np.random.default_rng(seed).permutation(len(source)):
        if len(pixels) == count:
            break
        try:
            pixels.append(backbone.preprocessing.pixels(source.read(int(index))))
        except UnreadableImage as error:
            skipped.append([source.keys[index], error.reason])
            continue
        labels.append(None if source.labels is None else source.labels[index])
    if not pixels:
        raise InputError(f"no image of {data} could be read")
    images = backbone.preprocessing.normalise(torch.from_numpy(np.stack(pixels)))
    return images, None if source.labels is None else labels, skipped
