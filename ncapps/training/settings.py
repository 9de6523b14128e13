"""`TrainSettings`: everything that decides a training run, checked as it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Train a timm backbone until its features collapse to one point a class.

    Parameters
    ----------
    backbone : str
        A timm model name, such as "resnet18".
    model_kwargs : dict
        What the model is built with beyond its name, such as {channels: [16, 32, 64, 128], layers: [1, 1, 1, 1]}.
    pretrained : bool
        Start from timm's published weights (fetched over the network) instead of random ones.
    small_stem : bool
        Replace the ImageNet stem by one 3 x 3 convolution without stride or pooling: for images of 64 pixels or fewer.
    image_size : int
        Side in pixels that every image is resized to.
    epochs : int
        Passes over the training images.
    batch_size : int
        Images a step; a last, smaller batch of an epoch is left out.
    optimizer : {"sgd", "adamw"}
        SGD with Nesterov momentum for convolutional networks; AdamW for transformers.
    learning_rate : float
        The highest rate, after the warmup; a cosine then takes it to zero.
    momentum : float
        Of SGD.
    weight_decay : float
        On weight matrices and kernels; never on biases and norms.
    warmup : float
        Part of all steps over which the rate climbs from zero, in [0, 1).
    loss : {"cross_entropy", "mse", "dot_regression"}
        "mse": half the squared distance of the logits from `mse_target` for the own class and 0 for the others (from
        the simplex's own logits where the head is "etf"); "dot_regression": half the squared distance of the own
        class's cosine from 1.
    mse_target : float
        The own class's logit that "mse" aims for; larger pulls harder. With a feature_scale its cosine aims for 1.
    label_smoothing : float
        Part of the target spread evenly over all classes, in [0, 1); cross-entropy only.
    head : {"learned", "etf", "class_means"}
        A linear layer that learns; a fixed simplex equiangular tight frame; the running means of the classes' features.
    feature_scale : float, optional
        Features are scaled to this length, and the head's rows to 1, before the logits are taken: an inverse
        temperature. None leaves the features as they are. "class_means" and "dot_regression" need one; 16 is a start.
    augment : {"none", "shift", "strokes", "crop_flip"}
        "shift": small random shifts, turns and zooms, no mirroring: for digits and letters; "strokes": larger ones, a
        slant and a smooth warp: for handwriting of which little was seen; "crop_flip": shifts by up to an eighth and
        mirroring: for photographs.
    turned_fraction : float
        Part of each batch that is shown once more, turned by 90, 180 or 270 degrees, as classes of their own whose rows
        are dropped at the end, in [0, 1]. Takes that much more time, and leaves features that tell apart more than the
        known classes: for classes added later. 0 for none.
    final_fraction_without_augmentation : float
        The last part of the epochs sees the images as they are: the terminal phase, in which features collapse.
    precision : {"auto", "float32", "bfloat16"}
        What the backbone computes in; the head, the loss and the measurements are float32 always.
    seed : int
        Fixes the first weights, the order of the images and the augmentation.
    device : str
        "auto" takes a GPU where there is one; else "cpu", "cuda", "cuda:1", "mps".
    measure_every : int
        Epochs between measurements of NC1..NC4 and accuracy; the last epoch is measured always.
    measure_images : int
        At most so many training images are measured, the same ones each time.
    checkpoint_every : int
        Epochs between checkpoints, where a checkpoint file is named.

    Examples
    --------
    >>> TrainSettings(backbone="resnet18", epochs=5).head
    'learned'
    """

    backbone: str = "resnet18"
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    pretrained: bool = False
    small_stem: bool = False
    image_size: int = 32
    epochs: int = 30
    batch_size: int = 64
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 0.05
    loss: Literal["cross_entropy", "mse", "dot_regression"] = "cross_entropy"
    mse_target: float = 3.0
    label_smoothing: float = 0.0
    head: Literal["learned", "etf", "class_means"] = "learned"
    feature_scale: float | None = None
    augment: Literal["none", "shift", "strokes", "crop_flip"] = "none"
    turned_fraction: float = 0.0
    final_fraction_without_augmentation: float = 0.2
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = 0
    device: str = "auto"
    measure_every: int = 1
    measure_images: int = 2048
    checkpoint_every: int = 1

    def __post_init__(self) -> None:
        for name in ("image_size", "epochs", "batch_size", "measure_every", "measure_images", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be 1 or more, but {getattr(self, name)} came")
        if self.batch_size < 2:
            raise InputError("batch_size must be 2 or more: batch norm has no variance over one image")
        for name in ("warmup", "label_smoothing", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is a fraction in [0, 1), but {getattr(self, name)} came")
        for name in ("turned_fraction", "final_fraction_without_augmentation"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is a fraction in [0, 1], but {getattr(self, name)} came")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate must be greater than 0, but {self.learning_rate} came")
        if not self.mse_target > 0:
            raise InputError(f"mse_target must be greater than 0, but {self.mse_target} came")
        if not self.weight_decay >= 0:
            raise InputError(f"weight_decay must be 0 or more, but {self.weight_decay} came")
        self._check_choices()
        self._check_head()

    def _check_choices(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} must be one of {', '.join(choices)}, but {getattr(self, name)!r} came")

    def _check_head(self) -> None:
        if self.feature_scale is not None and not self.feature_scale > 0:
            raise InputError(f"feature_scale must be greater than 0, or null for none, but {self.feature_scale} came")
        for name, needy in (("head", "class_means"), ("loss", "dot_regression")):
            if getattr(self, name) == needy and self.feature_scale is None:
                raise InputError(f"{name} {needy!r} compares directions: set feature_scale, for example to 16")
        if self.label_smoothing and self.loss != "cross_entropy":
            raise InputError(f"label_smoothing belongs to the loss 'cross_entropy', but the loss is {self.loss!r}")


_CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": ("sgd", "adamw"),
    "loss": ("cross_entropy", "mse", "dot_regression"),
    "head": ("learned", "etf", "class_means"),
    "augment": ("none", "shift", "strokes", "crop_flip"),
    "precision": ("auto", "float32", "bfloat16"),
}
