"""The settings of an FSCIL benchmark, as `configs/fewshot/fscil_*.yaml` hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ncapps.benchmarks.fscil_heads import head_names
from ncapps.benchmarks.fscil_lists import find_layout
from ncapps.errors import InputError
from ncapps.training import TrainSettings


@dataclass(frozen=True, kw_only=True)
class FSCILSettings:
    """Few-shot class-incremental learning: every head on the features of one backbone.

    Parameters
    ----------
    layout : str
        A name in `LAYOUTS`: "shared", "cifar100", "mini_imagenet", "cub200".
    data : str
        Where the images lie: for "shared" what the three lists of files are relative to; for "cifar100" torchvision's
        folder; for "mini_imagenet" the folder of `MINI-ImageNet` or `miniimagenet`; for "cub200" that of
        `CUB_200_2011`.
    train_files, test_files : list of str
        For "shared": zips or folders of class folders below `data`; the first training one gives the standard shots.
    lists : str
        The folder or zip of the standard index lists, below `data` or a path of its own.
    model : str
        The trained backbone; where the file is missing it is trained on the base classes, and kept there.
    train : TrainSettings
        How.
    cache : str
        The folder that extracted features are kept in.
    precision : str
        What the backbone computes features in, as `FeatureExtractor` takes it.
    turned_images : int
        Images of each base class that are also extracted turned, for the episodes of CEC; 0 for none.
    heads : list of str
        Names that `head_names` knows; all heads when empty, those of `head_settings` among them.
    head_settings : dict
        Arguments of a published head, by its name: {"teen": {weight: 0.1}, "teen.0.5": {weight: 0.5}} runs it twice.
    subject : str
        The head that the others are compared with; the default of `PrototypeClassifier` when empty.
    redraws : int
        How often the shots are drawn anew, beside the standard draw.
    resamples, seed : int
        Of the bootstrap; the seed also numbers the redraws.
    level : float
        What the intervals hold.
    """

    layout: str = "shared"
    data: str = "../shared/data"
    train_files: list[str] = field(default_factory=lambda: ["cifar100_train_a.zip", "cifar100_train_b.zip"])
    test_files: list[str] = field(default_factory=lambda: ["cifar100_test.zip"])
    lists: str = "fscil_index_lists.zip"
    model: str = "runs/fscil/backbone.safetensors"
    train: TrainSettings = field(default_factory=TrainSettings)
    cache: str = "runs/fscil/features"
    precision: str = "float32"
    turned_images: int = 50
    heads: list[str] = field(default_factory=list)
    head_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    subject: str = ""
    redraws: int = 10
    resamples: int = 1000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        find_layout(self.layout)
        strange = sorted(set(self.head_settings) - set(self.names))
        if strange:
            raise InputError(f"head_settings name {', '.join(strange)}, which is not among the heads that run")
        if self.redraws < 2:
            raise InputError(f"an interval over draws needs 2 redraws or more, but {self.redraws} came")
        if self.turned_images < 0:
            raise InputError(f"turned_images must be 0 or more, but {self.turned_images} came")
        if not 0 < self.level < 1:
            raise InputError(f"level is a share between 0 and 1, but {self.level} came; write 0.95 for 95 %")

    @property
    def names(self) -> list[str]:
        """The heads that run, in order."""
        if self.heads:
            return head_names(self.heads)
        every = head_names()
        return head_names([*every, *(name for name in self.head_settings if name not in every)])
