"""`train`: a timm backbone to collapse, one epoch after another, interrupted and taken up again at will."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ncapps.features.precision import choose_device
from ncapps.training.meter import EpochRecord
from ncapps.training.result import TrainResult
from ncapps.training.run import Run
from ncapps.training.settings import TrainSettings


def train(
    settings: TrainSettings,
    images: Any,
    labels: Any = None,
    *,
    val_images: Any = None,
    val_labels: Any = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    on_epoch: Callable[[EpochRecord], object] | None = None,
) -> TrainResult:
    """Train a timm backbone to collapse, and watch the collapse come.

    Parameters
    ----------
    settings : TrainSettings
        What to train, and how.
    images : ImageSource, array, path or name
        What `ncapps.features.images.open_images` takes: a folder of class folders, uint8 pixels (images, height,
        width[, channels]), "digits" ... Each image is decoded once.
    labels : array-like, optional
        One class name an image; the source's own where left out.
    val_images, val_labels : optional
        Held-out images of the same classes; their accuracy is recorded, nothing is chosen by it.
    checkpoint : path, optional
        Written after each `checkpoint_every` epochs; where it exists already, the run goes on from it, and ends with
        the very weights that it would have had without the interruption (on the same machine).
    progress : bool
        Show a progress bar on standard error.
    on_epoch : callable, optional
        Called with each epoch's record, once its checkpoint is written.

    Returns
    -------
    TrainResult
        The model is an ordinary timm model whose classifier is the trained head.

    Raises
    ------
    InputError
        If there are fewer than two classes, labels are missing, the backbone has no single linear head, the loss
        becomes infinite, or the checkpoint is of another run.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    >>> settings = TrainSettings(backbone="cifar_resnet20", image_size=16, epochs=1, batch_size=4)
    >>> train(settings, images, ["cat", "dog"] * 4, progress=False).classes
    ('cat', 'dog')
    """
    device = choose_device(settings.device)
    with own_randomness(device):
        run = Run(settings, device, images, labels, val_images, val_labels, progress)
        if checkpoint is not None and Path(checkpoint).exists():
            run.resume(checkpoint)
        run.fit(checkpoint, on_epoch, progress)
        return run.result()


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Let the run seed torch's global generators (dropout draws from them), and put them back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
