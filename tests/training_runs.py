"""A tiny run, and how to vary it."""

from __future__ import annotations

import dataclasses
from typing import Any

from ncapps.training import TrainResult, TrainSettings, train

TINY = TrainSettings(
    backbone="resnet18",
    model_kwargs={"channels": [4, 8, 8, 16], "layers": [1, 1, 1, 1]},
    small_stem=True,
    image_size=8,
    epochs=2,
    batch_size=8,
    learning_rate=0.05,
    augment="shift",
    device="cpu",
)


def changed(**fields: Any) -> TrainSettings:
    """Return the tiny run's settings with other fields."""
    return dataclasses.replace(TINY, **fields)


def run(settings: TrainSettings, data: Any, **kwargs: Any) -> TrainResult:
    """Train on (images, labels) without a progress bar."""
    return train(settings, *data, progress=False, **kwargs)
