"""From an OOD benchmark's settings to features: what is fitted, calibrated and reported on, each extracted once."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ncapps.benchmarks.ood_settings import KnownSettings, NetworkSettings, OODSettings, TaskSettings, UnknownSettings
from ncapps.benchmarks.openood import OPENOOD, open_openood
from ncapps.benchmarks.pruning import draw_evenly, reporting_positions
from ncapps.errors import InputError
from ncapps.features import Backbone, FeatureExtractor, Features, ImageSource, build_model, open_images, split_by_class
from ncapps.features.array_source import ArraySource
from ncapps.features.checkpoint import find_checkpoint, load_weights, read_weights
from ncapps.features.class_head import head_of_classes
from ncapps.features.imglist import parse_imglist

_NOISE = 1000


@dataclass(frozen=True, kw_only=True)
class TaskSources:
    """The images of a task.

    Parameters
    ----------
    fit, validation, report : ImageSource
        Known images, labelled; no image is in two of them.
    unknown : dict
        Unknown sets by name.
    groups : dict
        The group of each unknown set.
    """

    fit: ImageSource
    validation: ImageSource
    report: ImageSource
    unknown: dict[str, ImageSource]
    groups: dict[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskFeatures:
    """One network's features of a task's images.

    Parameters
    ----------
    fit, validation, report : Features
        Of known images, labelled.
    unknown : dict
        Features of each unknown set.
    groups : dict
        The group of each unknown set: "near", "far" or "development".
    head : object or None
        The classifier, rows in the order of the sorted class names; None where it has other classes.
    provenance : dict
        The weights' hash, and each set's number of images, fingerprint and number of unreadable images.
    """

    fit: Features
    validation: Features
    report: Features
    unknown: dict[str, Features]
    groups: dict[str, str]
    head: Any = None
    provenance: dict[str, Any]


def open_task(task: TaskSettings, settings: OODSettings) -> TaskSources:
    """Open a task's images; none is decoded yet.

    Raises
    ------
    InputError
        If a file is missing, unlabelled where labels are needed, or a list names no image of its set.
    """
    if task.openood:
        found = open_openood(task.openood, settings.root)
        groups = {**dict.fromkeys(found.near, "near"), **dict.fromkeys(found.far, "far")}
        unknown: dict[str, ImageSource] = {**found.near, **found.far}
        fit = _at_most(found.train, settings)
        return TaskSources(fit=fit, validation=found.val, report=found.test, unknown=unknown, groups=groups)
    if task.known is None:
        raise InputError(f"task {task.name} names no known images")
    data = Path(settings.data)
    fit, validation, report = _open_known(task.known, data, settings.seed)
    return TaskSources(
        fit=_at_most(fit, settings),
        validation=validation,
        report=report,
        unknown={one.name: _open_unknown(one, data, settings.seed) for one in task.unknown},
        groups={one.name: one.group for one in task.unknown},
    )


def extract_task(
    task: TaskSettings, network: NetworkSettings, sources: TaskSources, settings: OODSettings, *, progress: bool = True
) -> TaskFeatures:
    """Extract a network's features of all sets in float32, each once: what the cache holds is read from there."""
    return extract_sources(make_backbone(task, network, settings), sources, settings.cache, progress=progress)


def extract_sources(
    backbone: Backbone, sources: TaskSources, folder: str | Path, *, progress: bool = True
) -> TaskFeatures:
    """Extract any backbone's features of a task's sets, as `extract_task` does; `folder` is the cache's."""
    # Compiled code rounds otherwise, and only long jobs are compiled: a benchmark's features shall not depend on that.
    extractor = FeatureExtractor(backbone, precision="float32", compile=False, progress=progress)
    cache, images = Path(folder), {}

    def extracted(name: str, source: ImageSource) -> Features:
        identity = extractor.identity(source)
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        words = re.sub(r"[^A-Za-z0-9_.]+", "_", f"{extractor.backbone.tag}-{name}")
        found = extractor.extract(source, store=cache / f"{words}-{digest[:16]}")
        images[name] = {"images": len(found), "unreadable": len(found.skipped), "fingerprint": identity["images"]}
        return found

    fit = extracted("fit", sources.fit)
    return TaskFeatures(
        fit=fit,
        validation=extracted("validation", sources.validation),
        report=extracted("report", sources.report),
        unknown={name: extracted(name, source) for name, source in sources.unknown.items()},
        groups=sources.groups,
        head=head_of_classes(extractor.head, extractor.classes, fit.classes),
        provenance={"weights": extractor.backbone.weights_hash, "sets": images},
    )


def make_backbone(task: TaskSettings, network: NetworkSettings, settings: OODSettings) -> Backbone:
    """Build a task's network; on an OpenOOD task with OpenOOD's test transform, where the spec names no other."""
    spec = network.spec
    base = Path(settings.root if task.openood else settings.data)
    preprocessing = None
    if task.openood:
        given = {name: value for name, value in spec.preprocessing_overrides().items() if value is not None}
        preprocessing = OPENOOD[task.openood].preprocessing.changed(**given)
    if spec.checkpoint is None:
        return Backbone(spec, preprocessing=preprocessing)
    path = find_checkpoint(base / spec.checkpoint, spec.name)
    if not network.rename:
        return Backbone(replace(spec, checkpoint=str(path)), preprocessing=preprocessing)
    model = build_model(replace(spec, checkpoint=None))
    pattern = re.compile(r"(?<![^.])(" + "|".join(map(re.escape, network.rename)) + r")(?![^.])")
    weights = {
        pattern.sub(lambda found: network.rename[found[1]], name): value for name, value in read_weights(path).items()
    }
    load_weights(model, weights, f"checkpoint {path}")
    return Backbone(model, preprocessing=preprocessing)


def _open_known(known: KnownSettings, data: Path, seed: int) -> tuple[ImageSource, ImageSource, ImageSource]:
    source = open_images(data / known.fit)
    if source.labels is None:
        raise InputError(f"{known.fit} has no class names; expected one sub-folder a class")
    if not known.report:
        fit, validation, report = split_by_class(source.labels, known.split, seed)
        return source.select(fit), source.select(validation), source.select(report)
    held_out = open_images(data / known.report)
    if held_out.labels is None or set(held_out.classes) - set(source.classes):
        raise InputError(f"{known.report} must hold images of the classes of {known.fit}, in folders of their names")
    rows = reporting_positions(data / known.report, held_out.keys, for_choices=known.validation, most=len(held_out))
    return source, held_out.select(np.setdiff1d(np.arange(len(held_out)), rows)), held_out.select(np.sort(rows))


def _at_most(source: ImageSource, settings: OODSettings) -> ImageSource:
    if not settings.fit_images or len(source) <= settings.fit_images or source.labels is None:
        return source
    codes = np.unique(np.asarray(source.labels), return_inverse=True)[1]
    return source.select(np.sort(draw_evenly(codes, settings.fit_images, np.random.default_rng(settings.seed))))


def _open_unknown(unknown: UnknownSettings, data: Path, seed: int) -> ImageSource:
    if unknown.images == "noise":
        pixels = np.random.default_rng(seed).integers(0, 256, (_NOISE, 32, 32, 3), dtype=np.uint8)
        return ArraySource(pixels, name="noise")
    source = open_images(data / unknown.images)
    if not unknown.listed_in:
        return source
    listed = {Path(line.path).name for line in parse_imglist(_read_list(data, unknown.listed_in), unknown.listed_in)}
    chosen = np.asarray([Path(key).name in listed for key in source.keys])
    if not chosen.any():
        raise InputError(f"{unknown.listed_in} names no image of {unknown.images}; is it another set's list?")
    return source.select(chosen)


def _read_list(data: Path, name: str) -> str:
    archive, dot_zip, entry = name.partition(".zip/")
    path = data / (archive + ".zip" if dot_zip else name)
    try:
        if not dot_zip:
            return path.read_text(encoding="utf-8")
        with zipfile.ZipFile(path) as opened:
            return opened.read(entry).decode("utf-8")
    except OSError as error:
        raise InputError(f"the image list {path} cannot be opened: {error.strerror or error}") from None
    except (KeyError, zipfile.BadZipFile):
        raise InputError(f"{path} holds no list called {entry}; is it OpenOOD's zip of lists?") from None
