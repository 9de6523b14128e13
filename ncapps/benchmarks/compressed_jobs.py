"""All four jobs before and after compression: accuracy, new classes, unknown images, and the choice of a backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from ncapps import config
from ncapps.benchmarks.cached_features import extract_cached, open_named
from ncapps.benchmarks.compressed_jobs_results import jobs_table, rank_row, sets_table
from ncapps.benchmarks.compressed_jobs_run import JobFeatures, run_jobs
from ncapps.benchmarks.compressed_jobs_settings import CompressedJobsSettings
from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.ood_data import TaskSources, extract_sources, make_backbone, open_task
from ncapps.benchmarks.pruning import draw_evenly, read_images
from ncapps.collapse import measure_collapse_from_statistics
from ncapps.compression import Compressed, compress
from ncapps.errors import InputError
from ncapps.features import Backbone, FeatureExtractor, ImageSource
from ncapps.statistics import ClassStatistics
from ncapps.transfer import rank_backbones
from ncapps.transfer.estimate import Estimate

Say = Callable[[str], object]


def measure_compressed_jobs(settings: CompressedJobsSettings, *, say: Say = lambda _line: None) -> dict[str, Any]:
    """Compress the network once a seed, put it and the dense one to work, and compare them on the same images.

    Three arms: the dense network; the small ones with all statistics taken anew from their own features; and the small
    ones with the dense network's prototypes, detector and head, as if only the backbone had been replaced.

    Returns
    -------
    dict
        "table" and "table_dense_statistics", rows as `jobs_table` gives them; "auroc_by_set"; "networks", the cost of
        each compressed one and NC1 of its features; "dense", that of the dense one and its collapse profile by depth on
        the first calibration images; "images"; "settings" and "environment".

    Raises
    ------
    InputError
        If images or weights are missing, classes are too few or too small, or the target is out of reach.
    """
    ood = settings.ood
    known = open_task(settings.task, ood)
    known = _asked_about(known, settings.development)
    backbone = make_backbone(settings.task, settings.task.networks[0], ood)
    shots = open_named(settings.data, settings.new.shots)
    asked = open_named(settings.data, settings.new.asked) if settings.new.asked and not settings.development else shots
    sources = (known, shots, asked)
    dense = _features(backbone, sources, settings)
    dense_done = run_jobs(dense, settings.new, ood)
    done, kept, ranks, costs, profiles = [], [], [], [], []
    for seed in settings.seeds:
        small = _compressed(backbone, known.fit, settings, seed)
        features = _features(_with_model(backbone, small), sources, settings)
        done.append(run_jobs(features, settings.new, ood))
        kept.append(run_jobs(_dense_statistics(features, dense), settings.new, ood))
        ranks.append(_rank(dense, features, settings))
        costs.append({**_cost(small, seed), "nc1": _nc1(features)})
        profiles.append([asdict(one) for one in small.report.collapse_profile or ()])
        say(f"seed {seed}: {small.report.macs_ratio:.3f} of the operations in {small.report.seconds:.0f} s")
    # The dense network's estimate is the same for each: the same images and draws.
    rank = rank_row(ranks[0][0], [one for _, one in ranks], settings.level)
    return {
        "table": [*jobs_table(dense_done, done, settings.level), rank],
        "table_dense_statistics": jobs_table(dense_done, kept, settings.level),
        "auroc_by_set": {"dense": sets_table(dense_done), "small": [sets_table(one) for one in done]},
        "networks": costs,
        "dense": {"nc1": _nc1(dense), "collapse_profile": profiles[0]},
        "images": dense.task.provenance,
        "settings": config.to_dict(replace(settings, data="")),
        "environment": environment(seed=settings.seed),
    }


def _asked_about(known: TaskSources, development: bool) -> TaskSources:
    """Leave out the unknown sets for development; or leave these alone, and ask about the known images for choices."""
    chosen = {
        name: source for name, source in known.unknown.items() if (known.groups[name] == "development") == development
    }
    if not chosen:
        raise InputError(f"no unknown set is {'' if development else 'not '}for development; see the groups in task")
    groups = {name: known.groups[name] for name in chosen}
    report = known.validation if development else known.report
    return replace(known, report=report, unknown=chosen, groups=groups)


def _compressed(backbone: Backbone, fit: ImageSource, settings: CompressedJobsSettings, seed: int) -> Compressed:
    codes = np.unique(np.asarray(fit.labels), return_inverse=True)[1]
    # The same draw as the pruning benchmark's, so that both speak of the same network.
    chosen = draw_evenly(codes, settings.calibration, np.random.default_rng(seed))
    images = read_images(fit, chosen, backbone.preprocessing)
    return compress(
        backbone.model, images, codes[chosen], macs=settings.macs, importance=settings.importance,
        calibration=len(images), seed=seed, progress=False,
    )  # fmt: skip


def _with_model(backbone: Backbone, small: Compressed) -> Backbone:
    found = Backbone(small.model, preprocessing=backbone.preprocessing)
    found.classes = backbone.classes
    return found


def _features(
    backbone: Backbone, sources: tuple[TaskSources, ImageSource, ImageSource], settings: CompressedJobsSettings
) -> JobFeatures:
    known, shots, asked = sources
    extractor = FeatureExtractor(backbone, precision="float32", compile=False, progress=False)
    task = extract_sources(backbone, known, Path(settings.cache), progress=False)
    added = extract_cached(extractor, shots, settings.cache)[0]
    asked_about = added if asked is shots else extract_cached(extractor, asked, settings.cache)[0]
    return JobFeatures(task=task, shots=added, asked=asked_about)


def _dense_statistics(features: JobFeatures, dense: JobFeatures) -> JobFeatures:
    """Return the small network's answers with all that is fitted left as it was for the dense one."""
    own = replace(features.task, fit=dense.task.fit, validation=dense.task.validation, head=dense.task.head)
    return replace(features, task=own)


def _rank(dense: JobFeatures, small: JobFeatures, settings: CompressedJobsSettings) -> tuple[Estimate, Estimate]:
    candidates = {"dense": dense.asked.values, "small": small.asked.values}
    found = rank_backbones(
        candidates, labels=dense.asked.labels, seed=settings.seed, scores=["held_out_classes"], progress=False
    )
    scores = {row.name: row.scores[found.primary] for row in found.rows}
    return scores["dense"], scores["small"]


def _nc1(features: JobFeatures) -> float:
    fit = features.task.fit
    return measure_collapse_from_statistics(ClassStatistics.from_features(fit.values, fit.labels)).nc1


def _cost(small: Compressed, seed: int) -> dict[str, Any]:
    report = small.report
    names = ("macs_before", "macs_after", "params_before", "params_after", "images", "seconds")
    return {"seed": seed, "macs_ratio": report.macs_ratio, **{name: getattr(report, name) for name in names}}
