"""The FSCIL benchmark: a backbone trained on the base classes, its features, every head, and figures ready for JSON."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ncapps import config
from ncapps.benchmarks.composed_sources import TurnedSource
from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.fscil import FSCILFeatures, draw_shots, run_draw
from ncapps.benchmarks.fscil_data import FSCILSources, open_fscil
from ncapps.benchmarks.fscil_heads import default_head, make_head
from ncapps.benchmarks.fscil_lists import find_layout
from ncapps.benchmarks.fscil_results import HeadRun, compare, describe
from ncapps.benchmarks.fscil_settings import FSCILSettings
from ncapps.errors import InputError
from ncapps.features import Backbone, FeatureExtractor, ImageSource
from ncapps.training import load_trained, train


def run_fscil(settings: FSCILSettings, say: Callable[[str], object] = lambda text: None) -> dict[str, Any]:
    """Run the whole benchmark; `say` is told each head's figures as they come.

    Returns
    -------
    dict
        "heads" (see `describe`), "comparison" (see `compare`), "subject", "failed" heads and why, "sessions", "data",
        "settings", "environment".

    Raises
    ------
    InputError
        If images are missing, or the backbone was trained on other classes than the base session's.
    """
    sources = open_fscil(settings)
    backbone = trained_backbone(settings, sources)
    data, provenance = extract_fscil(settings, sources, backbone, say)
    runs, failed = run_heads(settings, data, say)
    subject = settings.subject or default_head()
    return {
        "layout": settings.layout,
        "sessions": [list(session) for session in data.sessions],
        "subject": subject,
        "heads": {run.name: describe(run, data.arrival, settings.level) for run in runs},
        "failed": failed,
        "comparison": compare(
            runs,
            subject,
            data.test_labels,
            data.arrival,
            level=settings.level,
            resamples=settings.resamples,
            seed=settings.seed,
        ),
        "data": provenance,
        "settings": config.to_dict(settings),
        "environment": environment(seed=settings.seed),
    }


def trained_backbone(settings: FSCILSettings, sources: FSCILSources) -> Backbone:
    """Return the backbone of `settings.model`; trained on the base session alone where there is no such file.

    The model is that of the last epoch: nothing is chosen. An interrupted training goes on where it stopped.
    """
    path = Path(settings.model)
    if not path.is_file():
        result = train(settings.train, sources.base, checkpoint=path.with_name(f"{path.stem}.checkpoint.safetensors"))
        result.save(path)
    backbone = load_trained(path)
    if set(backbone.classes or ()) != set(sources.sessions[0]):
        raise InputError(
            f"{path} was trained on other classes than the base session's; name another file to train anew"
        )
    return backbone


def extract_fscil(
    settings: FSCILSettings, sources: FSCILSources, backbone: Backbone, say: Callable[[str], object]
) -> tuple[FSCILFeatures, dict[str, Any]]:
    """Return the features of all images and where they come from; what the cache holds is read from there."""
    # Compiled code rounds otherwise, and only long jobs are compiled: a benchmark's features shall not depend on that.
    extractor = FeatureExtractor(backbone, precision=settings.precision, compile=False)
    provenance: dict[str, Any] = {"weights": backbone.weights_hash, "sets": {}}

    def extracted(name: str, source: ImageSource) -> np.ndarray:
        identity = extractor.identity(source)
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        say(f"features of {len(source)} {name} images")
        found = extractor.extract(source, store=Path(settings.cache) / f"{name}-{digest[:16]}")
        if found.skipped:
            raise InputError(f"{found.skipped[0].key} cannot be read: {found.skipped[0].reason}; the split needs it")
        provenance["sets"][name] = {"images": len(found), "fingerprint": identity["images"]}
        return found.values

    turned = turned_rows = None
    if settings.turned_images:
        turned_rows = _first_of_each(np.asarray(sources.base.labels), settings.turned_images)
        turned = extracted("turned", TurnedSource(sources.base.select(turned_rows)))
        turned = turned.reshape(3, len(turned_rows), -1)
    data = FSCILFeatures(
        **{name: extracted(name, getattr(sources, name)) for name in ("base", "pool", "test")},
        **{f"{name}_labels": np.asarray(getattr(sources, name).labels) for name in ("base", "pool", "test")},
        sessions=sources.sessions,
        canonical=sources.canonical,
        turned=turned,
        turned_rows=turned_rows,
    )
    return data, provenance


def run_heads(
    settings: FSCILSettings, data: FSCILFeatures, say: Callable[[str], object] = lambda text: None
) -> tuple[list[HeadRun], dict[str, str]]:
    """Return what each head did on the standard shots and on every redraw, and which could not run, and why."""
    shots = find_layout(settings.layout).shots
    draws = [draw_shots(data, shots, settings.seed + number) for number in range(1, settings.redraws + 1)]
    runs, failed = [], {}
    for name in settings.names:
        try:
            started = time.perf_counter()
            head = make_head(name, settings.head_settings.get(name)).fit(data.base_session())
            fitted = time.perf_counter()
            canonical = run_draw(head, data, data.canonical)
            redraws = np.stack([run_draw(head, data, draw) for draw in draws])
        except InputError as error:
            failed[name] = str(error)
            say(f"{name}: {error}")
            continue
        per_draw = (time.perf_counter() - fitted) / (len(draws) + 1)
        seconds = {"fit": round(fitted - started, 3), "draw": round(per_draw, 3)}
        runs.append(HeadRun(name=name, canonical=canonical, redraws=redraws, seconds=seconds))
        say(f"{name}: {_line(describe(runs[-1], data.arrival, settings.level))}")
    return runs, failed


def _line(found: dict[str, Any]) -> str:
    figures = found["redraws"]["summary"]
    return ", ".join(f"{name} {100 * values[0]:.2f}" for name, values in figures.items())


def _first_of_each(labels: np.ndarray, most: int) -> np.ndarray:
    """Return positions of the first `most` images of each class, ascending."""
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:most] for label in np.unique(labels)]))
