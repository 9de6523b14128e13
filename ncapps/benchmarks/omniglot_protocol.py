"""The Omniglot benchmark: train on background alphabets, answer the official runs, and episodes on other alphabets."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ncapps.benchmarks.episode_evaluation import evaluate_episodes
from ncapps.benchmarks.episode_methods import EPISODE_METHODS, SEES_THE_BATCH, Base
from ncapps.benchmarks.episodes import EpisodeSettings, draw_episodes
from ncapps.benchmarks.omniglot import ErrorRate, drawing_features, one_shot_mistakes
from ncapps.benchmarks.omniglot_data import Drawings, OneShotRun, draw_runs, read_drawings, read_runs
from ncapps.errors import InputError
from ncapps.features import FeatureExtractor
from ncapps.fewshot import METRICS, PrototypeClassifier
from ncapps.training import TrainSettings, train

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OmniglotSettings:
    """What is read, trained and answered.

    Parameters
    ----------
    root : str
        Folder that the archives are named below.
    background : list of str
        Zips of alphabet/character/drawing: all that any network here is trained on.
    runs : str
        Zip of the official one-shot runs.
    train : TrainSettings
        Of the backbones; the seed is replaced.
    seeds : list of int
        One backbone each is trained on all background alphabets, for the official runs.
    official : bool
        Whether the official runs are answered; False for choices, which are made on alphabets held out alone.
    held_out : list of str
        Background alphabets that one more backbone, of the first seed, is trained without: its own runs, drawn like the
        official ones, and its episodes are of these alphabets.
    metrics : list of str
        Of `PrototypeClassifier`; all there are where left empty.
    views : int
        Views beside the drawing itself that features are averaged over.
    view_kind : str
        The augmentation that the views are drawn from.
    drawn_runs : int
        Runs drawn from the alphabets held out.
    episodes : EpisodeSettings
        Number, queries and seed of the episodes.
    ways, shots : list of int
        Every pair of them is reported.
    folder : str
        Where trained backbones are kept and found again.
    """

    root: str = "../shared"
    background: list[str] = field(default_factory=lambda: ["data/omniglot_small1.zip", "data/omniglot_small2.zip"])
    runs: str = "data/omniglot_one_shot_runs.zip"
    train: TrainSettings = field(default_factory=TrainSettings)
    seeds: list[int] = field(default_factory=lambda: [0])
    official: bool = True
    held_out: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    views: int = 0
    view_kind: str = "shift"
    drawn_runs: int = 400
    episodes: EpisodeSettings = field(default_factory=EpisodeSettings)
    ways: list[int] = field(default_factory=lambda: [5, 20])
    shots: list[int] = field(default_factory=lambda: [1, 5])
    folder: str = "runs/omniglot"

    def __post_init__(self) -> None:
        if not self.seeds:
            raise InputError("seeds is empty; name one seed or more, such as [0]")
        strange = [name for name in self.metrics if name not in METRICS]
        if strange:
            raise InputError(f"metric {strange[0]!r} is not known; choose from {', '.join(METRICS)}")

    @property
    def archives(self) -> list[Path]:
        """The background archives."""
        return [Path(self.root) / name for name in self.background]


def run_omniglot(settings: OmniglotSettings, say: Callable[[str], object] = _logger.info) -> dict[str, Any]:
    """Train, or find again, every backbone; return all figures, ready for JSON.

    Raises
    ------
    InputError
        If an archive is missing or holds something else, or the training settings don't suit it.
    """
    side = settings.train.image_size
    drawings = read_drawings(settings.archives, side)
    report: dict[str, Any] = {
        "background": {
            "drawings": len(drawings),
            "characters": len(np.unique(drawings.characters)),
            "alphabets": np.unique(drawings.alphabets).tolist(),
        }
    }
    if settings.official:
        trials = read_runs(Path(settings.root) / settings.runs, side)
        report["official_runs"] = _official(settings, drawings, trials, say)
    if settings.held_out:
        report["held_out"] = _held_out(settings, *drawings.split(settings.held_out), say)
    return report


def _official(
    settings: OmniglotSettings,
    drawings: Drawings,
    trials: tuple[np.ndarray, tuple[OneShotRun, ...]],
    say: Callable[[str], object],
) -> dict[str, Any]:
    pixels, runs = trials
    metrics: dict[str, Any] = {}
    for seed in settings.seeds:
        extractor = trained_extractor(settings, drawings, seed, f"seed{seed}")
        background, asked = (_features(settings, extractor, some) for some in (drawings, pixels))
        for name, rate in _rates(settings, background, drawings.characters, asked, runs).items():
            say(f"seed {seed}, {name}: {rate.error:.2%} of {rate.trials} official trials wrong")
            metrics.setdefault(name, {"seeds": {}})["seeds"][str(seed)] = _told(rate)
    for found in metrics.values():
        errors = [one["error"] for one in found["seeds"].values()]
        found["mean_error"] = float(np.mean(errors))
        found["deviation"] = float(np.std(errors, ddof=1)) if len(errors) > 1 else None
    bare = PrototypeClassifier(metric="cosine").fit(_pixel_rows(drawings.pixels), drawings.characters)
    wrong = one_shot_mistakes(bare, _pixel_rows(pixels), runs)
    control = _told(ErrorRate(wrong=int(wrong.sum()), trials=len(wrong)))
    say(f"cosine of bare pixels: {control['error']:.2%} of {control['trials']} official trials wrong")
    return {"runs": len(runs), "metrics": metrics, "pixels": control}


def _held_out(
    settings: OmniglotSettings, known: Drawings, held: Drawings, say: Callable[[str], object]
) -> dict[str, Any]:
    extractor = trained_extractor(settings, known, settings.seeds[0], _without(settings.held_out))
    background, asked = (_features(settings, extractor, some) for some in (known, held))
    runs = draw_runs(held, settings.drawn_runs, seed=settings.episodes.seed)
    rates = _rates(settings, background, known.characters, asked, runs)
    for name, rate in rates.items():
        say(f"held-out alphabets, {name}: {rate.error:.2%} of {rate.trials} drawn trials wrong")
    base = Base(background, known.characters)
    methods = {name: make(base) for name, make in EPISODE_METHODS.items() if name not in SEES_THE_BATCH}
    episodes: dict[str, Any] = {}
    for ways in settings.ways:
        for shots in settings.shots:
            drawn = draw_episodes(held.characters, replace(settings.episodes, ways=ways, shots=shots))
            found = evaluate_episodes(asked, drawn, methods)
            episodes[f"{ways}-way {shots}-shot"] = {
                name: {"accuracy": one.mean, "half_width": one.half_width} for name, one in found.items()
            }
            best = max(found, key=lambda name: found[name].mean)
            say(f"{ways}-way {shots}-shot, {best}: {found[best].mean:.2%} +- {found[best].half_width:.2%}")
    return {
        "alphabets": settings.held_out,
        "characters": len(np.unique(held.characters)),
        "trained_on_characters": len(np.unique(known.characters)),
        "drawn_runs": {name: _told(rate) for name, rate in rates.items()},
        "episodes": episodes,
    }


def trained_extractor(settings: OmniglotSettings, drawings: Drawings, seed: int, name: str) -> FeatureExtractor:
    """Return the extractor of a backbone trained on drawings; one that was interrupted goes on where it stopped."""
    checkpoint = Path(settings.folder) / f"{name}.safetensors"
    result = train(replace(settings.train, seed=seed), drawings.source(), checkpoint=checkpoint)
    return FeatureExtractor(result.backbone, precision="float32", compile=False, workers=0, progress=False)


def _pixel_rows(pixels: np.ndarray) -> np.ndarray:
    """Return each drawing's pixels as its features: what no network has seen shows how hard the trials are."""
    return pixels.reshape(len(pixels), -1).astype(np.float64) / 255


def _without(alphabets: Sequence[str]) -> str:
    return re.sub(r"\W+", "_", " ".join(["without", *sorted(alphabets)])).strip("_")


def _features(settings: OmniglotSettings, extractor: FeatureExtractor, some: Drawings | np.ndarray) -> np.ndarray:
    return drawing_features(extractor, some, views=settings.views, kind=settings.view_kind)


def _rates(
    settings: OmniglotSettings,
    background: np.ndarray,
    characters: np.ndarray,
    asked: np.ndarray,
    runs: Sequence[OneShotRun],
) -> dict[str, ErrorRate]:
    rates = {}
    for name in settings.metrics or METRICS:
        classifier = PrototypeClassifier(metric=name).fit(background, characters)
        wrong = one_shot_mistakes(classifier, asked, runs)
        rates[name] = ErrorRate(wrong=int(wrong.sum()), trials=len(wrong))
    return rates


def _told(rate: ErrorRate) -> dict[str, Any]:
    return {"wrong": rate.wrong, "trials": rate.trials, "error": rate.error, "interval": list(rate.interval)}
