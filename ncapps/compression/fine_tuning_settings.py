"""`FineTuneSettings`: everything that decides a fine-tuning run, checked as it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class FineTuneSettings:
    """Train a compressed network further, with the dense one as its teacher.

    The loss is `logits_weight` times the divergence from the teacher's softened answers, plus `feature_weight` times
    the relative squared distance from its features, plus `label_weight` times cross-entropy with the labels.

    Parameters
    ----------
    epochs : int
        Passes over the images.
    batch_size : int
        Images a step; a last, smaller batch of an epoch is left out.
    optimizer : {"sgd", "adamw"}
        SGD with Nesterov momentum for convolutional networks; AdamW for transformers.
    learning_rate : float
        The highest rate, after the warmup. Deep networks whose batch norms are frozen bear tiny rates alone: at larger
        ones a repaired network may get worse, or its loss become infinite. With batchnorm="update" and hundreds of
        epochs, 0.01 is usual.
    schedule : {"cosine", "steps"}
        How the rate falls: along a cosine to zero, or by `decay` at each of `milestones`.
    milestones : tuple of float
        Parts of all steps, in (0, 1), ascending.
    decay : float
        What "steps" multiplies the rate by, in (0, 1).
    warmup : float
        Part of all steps over which the rate climbs from zero, in [0, 1).
    momentum : float
        Of SGD.
    weight_decay : float
        On weight matrices and kernels; never on biases and norms.
    temperature : float
        Of the softened answers; see `ncapps.compression.distillation.logits_loss`.
    logits_weight, feature_weight, label_weight : float
        Weights of the three parts of the loss, 0 or more and not all 0. Labels are needed for the last one alone.
    batchnorm : {"frozen", "update"}
        "frozen": batch norms keep normalising with the repaired network's statistics, as they will when it is used: for
        short runs. "update": they normalise with each batch's and average these, as in training from scratch: for long
        ones.
    augment : {"none", "shift", "strokes", "crop_flip"}
        As in `TrainSettings`; both networks see the same view.
    precision : {"auto", "float32", "bfloat16"}
        What both networks compute in; the losses are float32 always.
    seed : int
        Fixes the order of the images and the augmentation.
    device : str
        "auto" takes a GPU where there is one; else "cpu", "cuda", "cuda:1", "mps".
    checkpoint_every : int
        Epochs between checkpoints, where a checkpoint file is named.

    Examples
    --------
    >>> FineTuneSettings(epochs=3, learning_rate=1e-3).batchnorm
    'frozen'
    """

    epochs: int = 10
    batch_size: int = 64
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 1e-5
    schedule: Literal["cosine", "steps"] = "cosine"
    milestones: tuple[float, ...] = (0.6, 0.8)
    decay: float = 0.1
    warmup: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    temperature: float = 4.0
    logits_weight: float = 1.0
    feature_weight: float = 1.0
    label_weight: float = 0.0
    batchnorm: Literal["frozen", "update"] = "frozen"
    augment: Literal["none", "shift", "strokes", "crop_flip"] = "none"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0
    device: str = "auto"
    checkpoint_every: int = 1

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 2), ("checkpoint_every", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be {least} or more, but {getattr(self, name)} came")
        for name in ("learning_rate", "temperature"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be greater than 0, but {getattr(self, name)} came")
        for name in ("weight_decay", "logits_weight", "feature_weight", "label_weight"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} must be 0 or more, but {getattr(self, name)} came")
        if not self.logits_weight + self.feature_weight + self.label_weight > 0:
            raise InputError("logits_weight, feature_weight and label_weight are all 0: there is nothing to learn from")
        for name in ("warmup", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is a fraction in [0, 1), but {getattr(self, name)} came")
        inside = [0.0, *self.milestones, 1.0]
        if not all(a < b for a, b in zip(inside, inside[1:], strict=False)) or not 0 < self.decay < 1:
            raise InputError(
                f"milestones ascend between 0 and 1, as decay lies, but {list(self.milestones)} and {self.decay} came"
            )
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} must be one of {', '.join(choices)}, but {getattr(self, name)!r} came")


_CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": ("sgd", "adamw"),
    "schedule": ("cosine", "steps"),
    "batchnorm": ("frozen", "update"),
    "augment": ("none", "shift", "strokes", "crop_flip"),
    "precision": ("auto", "float32", "bfloat16"),
}
