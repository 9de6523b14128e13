"""The settings of an OOD benchmark, as `configs/ood/*.yaml` hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ncapps.benchmarks.openood import OPENOOD
from ncapps.config import did_you_mean
from ncapps.errors import InputError
from ncapps.features import BackboneSpec

GROUPS = ("near", "far", "development")


@dataclass(frozen=True, kw_only=True)
class KnownSettings:
    """The known images, and which part each of them plays.

    Parameters
    ----------
    fit : str
        Images that statistics are taken from: a zip or folder below `data`.
    report : str
        Images to report on, and to calibrate on; without it `fit` is split by class into three parts.
    validation : int
        The images of `report` whose SHA-256 (of the file's bytes) sorts first: for calibration, and not reported on.
    split : tuple of float
        Without `report`: the shares for fitting, calibration and reporting.
    """

    fit: str
    report: str = ""
    validation: int = 1000
    split: tuple[float, float, float] = (0.6, 0.2, 0.2)


@dataclass(frozen=True, kw_only=True)
class UnknownSettings:
    """One set of images of unknown classes.

    Parameters
    ----------
    name : str
        What it is called in tables.
    group : str
        "near" or "far"; or "development" for a set that choices may have been made on, never averaged with others.
    images : str
        A zip or folder below `data`; or "noise", 1,000 images of 32 x 32 pixels, each drawn evenly from all colours.
    listed_in : str
        Only images whose file name is in this OpenOOD list: a file below `data`, or one in a zip ("lists.zip/a.txt").
    """

    name: str
    group: str
    images: str
    listed_in: str = ""

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise InputError(f"the group of {self.name} must be one of {', '.join(GROUPS)}, but {self.group!r} came")


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """A network and its weights.

    Parameters
    ----------
    name : str
        What it is called in tables.
    spec : BackboneSpec
        The network; its checkpoint is a file below `data`, or below `root` for an OpenOOD task.
    rename : dict
        Words in the checkpoint's names of weights, and what the network calls them: {shortcut: downsample}.
    """

    name: str
    spec: BackboneSpec
    rename: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.spec.checkpoint is None and self.spec.pretrained is False:
            raise InputError(f"network {self.name} has no weights; name a checkpoint, or say pretrained: auto")


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """Known classes, unknown sets, and the networks to try on them.

    Parameters
    ----------
    name : str
        What it is called in tables.
    networks : list of NetworkSettings
        Each is measured by itself.
    openood : str
        An OpenOOD v1.5 benchmark; it says all of the below.
    known : KnownSettings, optional
        The known images.
    unknown : list of UnknownSettings
        The unknown images.
    """

    name: str
    networks: list[NetworkSettings]
    openood: str = ""
    known: KnownSettings | None = None
    unknown: list[UnknownSettings] = field(default_factory=list)

    def __post_init__(self) -> None:
        if bool(self.openood) == (self.known is not None and bool(self.unknown)):
            raise InputError(f"task {self.name} needs either openood, or known and unknown images")
        if self.openood and self.openood not in OPENOOD:
            raise InputError(f"OpenOOD has no benchmark {self.openood!r}{did_you_mean(self.openood, list(OPENOOD))}")
        names = [unknown.name for unknown in self.unknown]
        if len(set(names)) < len(names):
            raise InputError(f"task {self.name} has two unknown sets of one name; give each its own")


@dataclass(frozen=True, kw_only=True)
class OODSettings:
    """An OOD benchmark: every detector on every network of every task.

    Parameters
    ----------
    tasks : list of TaskSettings
        What is measured.
    data : str
        The folder that the images and weights of tasks lie in.
    root : str
        OpenOOD's data folder, for OpenOOD tasks.
    cache : str
        The folder that extracted features are kept in.
    subject : str
        The detector that the others are compared with.
    detectors : list of str
        Names in `ncapps.ood.DETECTORS`; all of them when empty.
    detector_settings : dict
        Arguments of a detector, by its name.
    fit_images : int
        The most known images to fit on, as many of each class; 0 for all.
    reject_rates : tuple of float
        False-alarm rates to calibrate to.
    resamples, seed : int
        Of the bootstrap; the seed also splits images by class, draws those to fit on, and noise.
    level : float
        What the bootstrap's intervals hold of its resamples.
    """

    tasks: list[TaskSettings]
    data: str = "../shared"
    root: str = "./data"
    cache: str = "runs/ood/features"
    subject: str = "etf"
    detectors: list[str] = field(default_factory=list)
    detector_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    fit_images: int = 0
    reject_rates: tuple[float, ...] = (0.01, 0.05, 0.1)
    resamples: int = 1000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if not self.tasks:
            raise InputError("a benchmark needs one task or more, but none came")
        if not 0 < self.level < 1:
            raise InputError(f"level is a share between 0 and 1, but {self.level} came; write 0.95 for 95 %")
        measured = [(task.name, network.name) for task in self.tasks for network in task.networks]
        if not measured or len(set(measured)) < len(measured):
            raise InputError("every task needs networks, each with a name of its own")
