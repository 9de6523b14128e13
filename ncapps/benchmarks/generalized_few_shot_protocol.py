"""The generalized few-shot benchmark: every metric on the same draws of every set, from settings to figures."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from ncapps import config, covariance, fewshot, moments, persist, plda, prototypes, statistics
from ncapps.benchmarks import easyfsl_peers, generalized_few_shot
from ncapps.benchmarks.cached_features import benchmark_extractor, extract_cached, open_named
from ncapps.benchmarks.easyfsl_peers import EASYFSL, easyfsl_classifier
from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.episode_protocol import large_classes
from ncapps.benchmarks.generalized_few_shot import FewShotDraw, accuracies, draw_few_shot, name_asked
from ncapps.benchmarks.generalized_few_shot_results import calibration_bins, report_figures
from ncapps.benchmarks.generalized_few_shot_settings import GeneralizedFewShotSettings, GeneralizedSet
from ncapps.features import FeatureExtractor
from ncapps.fewshot import METRICS, PrototypeClassifier
from ncapps.training import load_trained


def run_generalized_few_shot(
    settings: GeneralizedFewShotSettings, say: Callable[[str], object] = lambda text: None
) -> dict[str, Any]:
    """Run every metric on every draw of every set; a draw that is done is kept below `cache` and not run again.

    Returns
    -------
    dict
        "sets", "pooled" and "calibration" (see `report_figures`), "data", "settings", "environment".

    Raises
    ------
    InputError
        If images or weights are missing, or a set has too few classes.
    """
    methods = [*(settings.metrics or METRICS), *(EASYFSL if settings.easyfsl else ())]
    found: dict[str, list[dict[str, Any]]] = {}
    data = {}
    for one in settings.sets:
        features, labels, data[one.name] = read_set(one, settings.data, settings.cache)
        say(f"{one.name}: {len(labels)} images, {len(np.unique(labels))} classes, {features.shape[1]} columns")
        place = Path(settings.cache) / "draws" / _digest(settings, data[one.name])
        rounds: Any = Parallel(n_jobs=settings.jobs)(
            delayed(_kept_draw)(place / f"{seed}.json", features, labels, settings, methods, seed)
            for seed in range(settings.seed, settings.seed + settings.draws)
        )
        found[one.name] = list(rounds)
        say(_line(found[one.name], settings))
    return {
        **report_figures(found, settings.subject or PrototypeClassifier().metric, settings.level),
        "data": data,
        "settings": config.to_dict(settings),
        "environment": environment(seed=settings.seed),
    }


def read_set(one: GeneralizedSet, data: str, cache: str) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Return features and class names of the images that are drawn from, and where they come from."""
    source = open_named(data, one.images)
    if one.trained:
        backbone = load_trained(one.trained)
        strange = np.flatnonzero(~np.isin(np.asarray(source.labels), np.asarray(backbone.classes)))
        source = source.select(strange)
        extractor = FeatureExtractor(backbone, precision="float32", compile=False, progress=False)
    else:
        extractor = benchmark_extractor(one.network, data)
    extracted, fingerprint = extract_cached(extractor, source, cache)
    labels = np.asarray(extracted.labels)
    kept = large_classes(labels, one.least_images)
    provenance = {
        "network": extractor.backbone.tag,
        "weights": extractor.backbone.weights_hash,
        "images": fingerprint,
        "classes": len(np.unique(labels[kept])),
        "classes_too_small": len(np.unique(labels)) - len(np.unique(labels[kept])),
    }
    return extracted.values[kept].astype(np.float64), labels[kept], provenance


def run_draw(
    features: np.ndarray, labels: np.ndarray, settings: GeneralizedFewShotSettings, methods: list[str], seed: int
) -> dict[str, Any]:
    """Return what each method finds on one draw: accuracies at each number of shots, and bins of its confidence."""
    draw = draw_few_shot(
        labels, shots=max(settings.shots), new_share=settings.new_share, asked=settings.asked, seed=seed
    )
    return {name: _run_method(name, features, labels, draw, settings) for name in methods}


def _run_method(
    name: str, features: np.ndarray, labels: np.ndarray, draw: FewShotDraw, settings: GeneralizedFewShotSettings
) -> dict[str, Any]:
    started = time.perf_counter()
    if name in EASYFSL:
        answer, knobs = _easyfsl_answer(name, features, labels, draw), {}
    else:
        classifier = PrototypeClassifier(metric=name, seed=settings.seed)
        classifier.fit(features[draw.fitted], labels[draw.fitted])
        answer, knobs = partial(name_asked, classifier, features, draw), classifier.knobs_
    seconds = time.perf_counter() - started
    true = labels[draw.asked]
    late = np.isin(true, np.asarray(draw.new))
    by_shots = {}
    for shots in settings.shots:
        named, confidence = answer(shots)
        by_shots[str(shots)] = asdict(accuracies(named, true, draw.base))
        if confidence is not None:
            by_shots[str(shots)]["bins"] = calibration_bins(confidence[late], (named == true)[late])
    return {"knobs": knobs, "fit_seconds": seconds, "shots": by_shots}


def _easyfsl_answer(
    name: str, features: np.ndarray, labels: np.ndarray, draw: FewShotDraw
) -> Callable[[int], tuple[np.ndarray, np.ndarray | None]]:
    classify = easyfsl_classifier(name, features[draw.fitted].mean(axis=0))

    def answer(shots: int) -> tuple[np.ndarray, None]:
        rows = np.concatenate([draw.fitted, *(part[:shots] for part in draw.shots.values())])
        return classify(features[rows], labels[rows], features[draw.asked]), None

    return answer


def _kept_draw(
    path: Path, features: np.ndarray, labels: np.ndarray, settings: GeneralizedFewShotSettings, methods: list[str],
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    with threadpool_limits(1 if settings.jobs > 1 else None):
        found = run_draw(features, labels, settings, methods, seed)
    persist.write_text(path, json.dumps(found))
    return found


def _digest(settings: GeneralizedFewShotSettings, data: dict[str, Any]) -> str:
    """Name all that a draw depends on: the images, the settings, and the code."""
    own = config.to_dict(settings)
    # The seed stays: it is the classifiers' too.
    for name in ("sets", "draws", "jobs", "subject", "level", "data", "cache"):
        del own[name]
    digest = hashlib.sha256(json.dumps([own, data], sort_keys=True).encode())
    code = [plda, prototypes, covariance, statistics, moments, generalized_few_shot, easyfsl_peers]
    files = [*Path(fewshot.__file__).parent.glob("*.py"), *(Path(str(one.__file__)) for one in code), Path(__file__)]
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _line(found: list[dict[str, Any]], settings: GeneralizedFewShotSettings) -> str:
    cells = []
    for name in found[0]:
        means = [
            100 * np.mean([one[name]["shots"][str(shots)]["harmonic"] for one in found]) for shots in settings.shots
        ]
        cells.append(f"{name} " + "/".join(f"{mean:.1f}" for mean in means))
    return "  harmonic mean: " + ", ".join(cells)
