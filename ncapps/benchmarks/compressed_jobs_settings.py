"""The settings of the benchmark of all jobs on a compressed network, as `configs/compress/*_jobs.yaml` hold them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ncapps.benchmarks.ood_settings import OODSettings, TaskSettings
from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class NewClassesSettings:
    """Classes that the network does not know, and how many of them are added from how many images.

    Parameters
    ----------
    shots : str
        Images that classes are added from: a zip or folder below `data`, one sub-folder a class. Classes that the
        network knows by name are left out.
    asked : str
        Images of the same classes to be named; without it those of `shots` that no class is added from.
    classes, each : int
        New classes a draw, and images that each is added from.
    draws : int
        How often classes and images are drawn, numbered from the seed on.
    most_asked : int
        At most so many images of a class are asked about, of known classes too.
    """

    shots: str
    asked: str = ""
    classes: int = 5
    each: int = 5
    draws: int = 20
    most_asked: int = 100

    def __post_init__(self) -> None:
        if min(self.classes, self.each, self.most_asked) < 1 or self.draws < 2:
            raise InputError(
                f"one class, one image, one question and two draws are the least, but classes={self.classes}, "
                f"each={self.each}, most_asked={self.most_asked} and draws={self.draws} came"
            )


@dataclass(frozen=True, kw_only=True)
class CompressedJobsSettings:
    """A network, how it is compressed, and the images that both networks are put to work on.

    Parameters
    ----------
    task : TaskSettings
        Known images (for calibrating compression and for statistics; for choices; for reporting), unknown images, and
        one network.
    new : NewClassesSettings
        Classes to be added.
    output : str
        The JSON file for the figures.
    data, cache : str
        The folder that images and weights lie in, and the one that features are kept in.
    macs : float
        The fraction of the multiply-accumulates to keep.
    importance : str
        How channels are chosen.
    calibration : int
        Calibration images, all classes together, drawn from those that statistics are taken from.
    seeds : tuple of int
        Draws of calibration images; one compressed network each.
    detectors : tuple of str
        Names in `ncapps.ood.DETECTORS`.
    fit_images : int
        The most known images that statistics are taken from, as many of each class; 0 for all.
    development : bool
        Ask about the images for choices and the unknown sets for development, and about no others.
    resamples : int
        Of the bootstrap of the AUROC.
    level : float
        What the intervals hold.
    seed : int
        Of resamples and draws of new classes.
    """

    task: TaskSettings
    new: NewClassesSettings
    output: str
    data: str = os.environ.get("NCAPPS_DATA", "../shared")
    cache: str = "runs/compress/features"
    macs: float = 0.5
    importance: str = "obs"
    calibration: int = 500
    seeds: tuple[int, ...] = (0,)
    detectors: tuple[str, ...] = ("etf",)
    fit_images: int = 0
    development: bool = False
    resamples: int = 1000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.task.networks) != 1 or self.task.known is None or not self.task.known.report:
            raise InputError("one network, known images to fit on and others to report on are needed; see task")
        if not self.seeds or not self.detectors:
            raise InputError("one seed and one detector are the least, but none came")

    @property
    def ood(self) -> OODSettings:
        """The OOD benchmark's settings for the same task."""
        return OODSettings(
            tasks=[self.task],
            data=self.data,
            cache=self.cache,
            subject=self.detectors[0],
            detectors=list(self.detectors),
            fit_images=self.fit_images,
            resamples=self.resamples,
            seed=self.seed,
            level=self.level,
        )
