"""One network at work on known, new and unknown images: what it names right, and what it tells apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from ncapps.benchmarks.compressed_jobs_settings import NewClassesSettings
from ncapps.benchmarks.generalized_few_shot import FewShotDraw, accuracies, name_asked
from ncapps.benchmarks.ood_data import TaskFeatures
from ncapps.benchmarks.ood_evaluation import evaluate
from ncapps.benchmarks.ood_results import DetectorRun
from ncapps.benchmarks.ood_settings import OODSettings
from ncapps.errors import InputError
from ncapps.features import Features
from ncapps.fewshot import PrototypeClassifier


@dataclass(frozen=True, kw_only=True, eq=False)
class JobFeatures:
    """One network's features of all images of the benchmark.

    Parameters
    ----------
    task : TaskFeatures
        Of known and unknown images, with the head.
    shots, asked : Features
        Of new classes; the same object twice where classes are added from some images and asked about the others.
    """

    task: TaskFeatures
    shots: Features
    asked: Features


@dataclass(frozen=True, kw_only=True, eq=False)
class JobsDone:
    """What one network did.

    Parameters
    ----------
    right : numpy.ndarray
        Whether its own head names each known reporting image right, shape (images,), 0 or 1.
    few_shot : dict
        "base", "new" and "harmonic": accuracies in 0..1, one a draw.
    detectors : dict
        By name what each OOD detector did.
    """

    right: np.ndarray
    few_shot: dict[str, np.ndarray]
    detectors: dict[str, DetectorRun]


def run_jobs(features: JobFeatures, new: NewClassesSettings, settings: OODSettings) -> JobsDone:
    """Put one network to work on all jobs.

    Raises
    ------
    InputError
        If the head has other classes than the known images, a detector cannot run, or there are too few new classes
        or images of them.
    """
    task = features.task
    if task.head is None or task.report.labels is None:
        raise InputError("the network's head must have the classes of the known images, in folders of their names")
    names = np.asarray(task.fit.classes)
    right = names[np.asarray(task.head(task.report.values)).argmax(axis=1)] == task.report.labels
    found = evaluate(task, settings)
    if found.failed:
        name, reason = next(iter(found.failed.items()))
        raise InputError(f"detector {name} could not run: {reason}")
    return JobsDone(
        right=right.astype(np.float64),
        few_shot=_few_shot(features, new, settings.seed),
        detectors={run.name: run for run in found.runs},
    )


def draw_new_classes(features: JobFeatures, new: NewClassesSettings, seed: int) -> Iterator[FewShotDraw]:
    """Yield draws of new classes; rows count through known images to fit on, known, shots' and asked ones.

    They depend on labels and seed alone: two networks that saw the same images get the same draws.

    Raises
    ------
    InputError
        If there are too few new classes, or too few images of one to add it and ask about it.
    """
    parts = _parts(features)
    starts = np.cumsum([0, *(len(part) for part in parts)])
    fit, report, shots, asked = (np.asarray(part.labels) for part in parts)
    known = np.unique(fit)
    strange = np.setdiff1d(np.unique(shots), known)
    if len(strange) < new.classes:
        raise InputError(f"{new.classes} new classes are drawn, but the images for them hold {len(strange)}")
    for number in range(new.draws):
        random = np.random.default_rng([seed, number])
        chosen = np.sort(random.choice(strange, new.classes, replace=False))
        added, questions = {}, [
            starts[1] + random.permutation(np.flatnonzero(report == name))[: new.most_asked] for name in known
        ]  # fmt: skip
        for name in chosen:
            rows = random.permutation(np.flatnonzero(shots == name))
            added[name.item()] = starts[2] + rows[: new.each]
            same = features.asked is features.shots
            others = rows[new.each :] if same else random.permutation(np.flatnonzero(asked == name))
            if len(rows) < new.each or not len(others):
                raise InputError(f"class {name} has too few images to add it from {new.each} and to ask about it")
            questions.append(starts[2 if same else 3] + others[: new.most_asked])
        yield FewShotDraw(
            base=tuple(known.tolist()),
            new=tuple(chosen.tolist()),
            fitted=np.arange(len(fit)),
            shots=added,
            asked=np.concatenate(questions),
        )


def _few_shot(features: JobFeatures, new: NewClassesSettings, seed: int) -> dict[str, np.ndarray]:
    parts = _parts(features)
    values = np.concatenate([part.values for part in parts]).astype(np.float64)
    labels = np.concatenate([np.asarray(part.labels) for part in parts])
    fitted = len(parts[0])
    classifier = PrototypeClassifier(seed=seed).fit(values[:fitted], labels[:fitted])
    found = []
    for draw in draw_new_classes(features, new, seed):
        named, _ = name_asked(classifier, values, draw, new.each)
        found.append(asdict(accuracies(named, labels[draw.asked], draw.base)))
    return {name: np.asarray([one[name] for one in found]) for name in ("base", "new", "harmonic")}


def _parts(features: JobFeatures) -> tuple[Features, Features, Features, Features]:
    parts = (features.task.fit, features.task.report, features.shots, features.asked)
    if any(part.labels is None for part in parts):
        raise InputError("known and new images need class names; put the images of each class into a folder")
    return parts
