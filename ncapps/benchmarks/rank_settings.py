"""The settings of the check of backbone rankings, as `configs/transfer/*.yaml` hold them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ncapps.errors import InputError
from ncapps.features import BackboneSpec


@dataclass(frozen=True, kw_only=True)
class RankNetwork:
    """A network to be ranked.

    Parameters
    ----------
    name : str
        What it is called in tables.
    spec : BackboneSpec
        What is built; its checkpoint is a path below `data`. Without a checkpoint the weights are random.
    cut : list of str
        Modules that are replaced by the identity, by name: what is left is an earlier stage of the network.
    train : str
        A YAML of `TrainSettings`; the network is then trained by it, and `spec` left aside.
    train_images : str
        What on: a zip or folder below `data`, or the name of a data set that needs no files.
    """

    name: str
    spec: BackboneSpec = field(default_factory=lambda: BackboneSpec(name="cifar_resnet20"))
    cut: list[str] = field(default_factory=list)
    train: str = ""
    train_images: str = ""

    def __post_init__(self) -> None:
        if bool(self.train) != bool(self.train_images):
            raise InputError(f"{self.name}: train and train_images go together, the settings and what they train on")


@dataclass(frozen=True, kw_only=True)
class RankSet:
    """A set of labelled images: a zip or folder below `data`.

    Parameters
    ----------
    for_choices : int
        The images whose SHA-256 (of the file's bytes) sorts first are kept out: they are for choices.
    """

    name: str
    images: str
    for_choices: int = 0


@dataclass(frozen=True, kw_only=True)
class RankTrialSettings:
    """How well scores foretell accuracies.

    Parameters
    ----------
    networks, sets : list
        All networks are ranked on each set.
    data : str
        The folder of images and weights.
    cache : str
        A folder for features and trained networks.
    images : int
        The most images of a set, 20 or more of each class it takes; one half is ranked and learned on, the other asked.
    shots, draws : int
        Of the ranking, and of the true few-shot accuracy.
    metric : str
        The metric of `PrototypeClassifier` for the true few-shot accuracy.
    seed : int
        Of random weights, of the choice of images, of the halves and of the draws.
    """

    networks: list[RankNetwork]
    sets: list[RankSet]
    data: str = "../shared"
    cache: str = "runs/rank"
    images: int = 600
    shots: int = 5
    draws: int = 20
    metric: str = "cosine"
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.networks) < 3 or not self.sets:
            raise InputError("a rank correlation needs three networks and one set or more")
        for kind, names in (("networks", [n.name for n in self.networks]), ("sets", [s.name for s in self.sets])):
            if len(set(names)) < len(names):
                raise InputError(f"{kind} need names of their own, but one occurs twice among {', '.join(names)}")
