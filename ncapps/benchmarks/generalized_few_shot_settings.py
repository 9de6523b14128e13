"""The settings of a generalized few-shot benchmark, as `configs/fewshot/generalized.yaml` holds them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ncapps.config import did_you_mean
from ncapps.errors import InputError
from ncapps.features import BackboneSpec
from ncapps.fewshot import METRICS


@dataclass(frozen=True, kw_only=True)
class GeneralizedSet:
    """One set of images, and the network that reads them.

    Parameters
    ----------
    name : str
        What it is called in tables.
    images : str
        A zip or folder below `data`, one sub-folder a class.
    network : BackboneSpec
        The network; its checkpoint is a file below `data`. Not read where `trained` is given.
    trained : str
        A network that ncapps trained and saved. The classes that it was trained on are left out: all classes that are
        drawn are new to it.
    least_images : int
        Classes with fewer images are left out; the report tells how many.
    """

    name: str
    images: str
    network: BackboneSpec = field(default_factory=lambda: BackboneSpec(name="mobilenetv2_100"))
    trained: str = ""
    least_images: int = 20


@dataclass(frozen=True, kw_only=True)
class GeneralizedFewShotSettings:
    """Many-shot base classes and new ones from a few images in one label space: every metric on the same draws.

    Parameters
    ----------
    sets : list of GeneralizedSet
        What is measured.
    data, cache : str
        The folder that images and weights lie in, and the one that features and finished draws are kept in.
    metrics : list of str
        Names in `METRICS`; all of them when empty.
    subject : str
        The metric whose lead over each other is reported; the default of `PrototypeClassifier` when empty.
    easyfsl : bool
        Whether easyfsl's inductive methods run on the same draws; needs the package (`pip install ncapps[bench]`).
    draws, seed : int
        How many draws of new classes and shots, numbered from the seed on.
    shots : tuple of int
        Images that a new class is added from; each number by itself.
    new_share : float
        The share of the classes that are new.
    asked : int
        At most so many images of a class are asked about.
    level : float
        What the intervals hold.
    jobs : int
        Draws that run at the same time.
    """

    sets: list[GeneralizedSet] = field(default_factory=list)
    data: str = "../shared"
    cache: str = "runs/fewshot/features"
    metrics: list[str] = field(default_factory=list)
    subject: str = ""
    easyfsl: bool = True
    draws: int = 20
    seed: int = 0
    shots: tuple[int, ...] = (1, 5)
    new_share: float = 0.4
    asked: int = 30
    level: float = 0.95
    jobs: int = 1

    def __post_init__(self) -> None:
        for name in [*self.metrics, *([self.subject] if self.subject else [])]:
            if name not in METRICS:
                raise InputError(f"there is no metric {name!r}{did_you_mean(name, list(METRICS))}")
        if len({one.name for one in self.sets}) < len(self.sets):
            raise InputError("two sets have one name; give each its own")
        if self.draws < 2 or not self.shots:
            raise InputError(f"an interval needs 2 draws or more and some shots, but {self.draws}, {self.shots} came")
        if not 0 < self.level < 1:
            raise InputError(f"level is a share between 0 and 1, but {self.level} came; write 0.95 for 95 %")
