"""Does a ranking foretell the truth? Rank correlation of every score with accuracies on images that it never saw."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ncapps import config
from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.rank_data import make_network, open_halves
from ncapps.benchmarks.rank_settings import RankTrialSettings
from ncapps.benchmarks.rank_truth import few_shot, linear_probe
from ncapps.features import FeatureExtractor, Features, ImageSource
from ncapps.transfer import SCORES, RankSettings, rank_backbones
from ncapps.transfer.cost import measure_cost

TRUTHS = ("linear_probe", "few_shot")


def run_rank_trials(settings: RankTrialSettings, say: Callable[[str], object] = lambda line: None) -> dict[str, Any]:
    """Rank all networks on each set, measure what each is truly worth, and correlate; ready for JSON.

    Returns
    -------
    dict
        "networks": the cost of each; "sets": for each set scores, truths, correlations and regrets; "mean": the mean
        over the sets of each score's correlations and regrets.
    """
    halves = {one.name: open_halves(one, settings) for one in settings.sets}
    networks: dict[str, dict[str, Any]] = {}
    features: dict[str, dict[str, tuple[Features, Features]]] = {name: {} for name in halves}
    for network in settings.networks:
        backbone = make_network(network, settings)
        extractor = FeatureExtractor(backbone, precision="float32", compile=False, progress=False, workers=0)
        for name, parts in halves.items():
            learned, asked = (extracted(extractor, part, settings) for part in parts)
            features[name][network.name] = learned, asked
        networks[network.name] = {**asdict(measure_cost(extractor)), "width": backbone.feature_dim}
        say(f"{network.name}: {networks[network.name]['milliseconds']:.2f} ms an image")
    sets = {}
    for name, found in features.items():
        sets[name] = {"images": [part.fingerprint() for part in halves[name]], **trial(found, settings)}
        say(f"{name}: " + ", ".join(f"{key} {value['few_shot']['kendall']:+.2f}" for key, value in _tell(sets[name])))
    return {
        "networks": networks,
        "sets": sets,
        "mean": _mean([one["agreement"] for one in sets.values()]),
        "settings": config.to_dict(settings),
        "environment": environment(seed=settings.seed),
    }


def trial(features: Mapping[str, tuple[Features, Features]], settings: RankTrialSettings) -> dict[str, Any]:
    """Return one set's scores and truths by network, and how well each score orders each truth."""
    ranked = RankSettings(budget=0, shots=settings.shots, draws=settings.draws, seed=settings.seed)
    # The truth hides other classes and draws other shots than the ranking did.
    true = RankSettings(budget=0, shots=settings.shots, draws=settings.draws, seed=settings.seed + 1)
    ranking = rank_backbones(
        {name: learned for name, (learned, _) in features.items()},
        budget=ranked.budget,
        shots=ranked.shots,
        draws=ranked.draws,
        seed=ranked.seed,
    )
    rows = {row.name: {key: estimate.value for key, estimate in row.scores.items()} for row in ranking.rows}
    truths = {
        name: {
            "linear_probe": linear_probe(learned, asked, settings.seed),
            "few_shot": few_shot(learned, asked, true, settings.metric),
        }
        for name, (learned, asked) in features.items()
    }
    agreement = {
        score: {
            truth: agreement_of(
                [truths[name][truth] for name in rows], [sign(score) * rows[name][score] for name in rows]
            )
            for truth in TRUTHS
        }
        for score in ranking.columns
    }
    learned, asked = next(iter(features.values()))
    return {
        "learned": len(learned),
        "asked": len(asked),
        "classes": len(learned.classes),
        "scores": rows,
        "truths": truths,
        "agreement": agreement,
    }


def agreement_of(truth: Sequence[float], score: Sequence[float]) -> dict[str, float]:
    """Return weighted Kendall tau (Vigna 2015, hyperbolic weights), Spearman's rho, and the regret.

    Parameters
    ----------
    truth : sequence of float
        Accuracy of each network.
    score : sequence of float
        Higher = said to be better. A score that is equal for all says nothing: both correlations are 0.

    Returns
    -------
    dict
        "kendall" and "spearman" in -1..1, 1 = the same order; "regret": by how much the network with the highest score
        falls short of the best accuracy.

    Examples
    --------
    >>> agreement_of([0.9, 0.5, 0.7], [3.0, 1.0, 2.0]) == {"kendall": 1.0, "spearman": 1.0, "regret": 0.0}
    True
    """
    from scipy import stats

    kendall: Any = stats.weightedtau
    spearman: Any = stats.spearmanr
    accuracies, scores = np.asarray(truth, dtype=np.float64), np.asarray(score, dtype=np.float64)
    flat = not (np.ptp(accuracies) > 0 and len(np.unique(scores)) > 1)
    return {
        "kendall": 0.0 if flat else float(kendall(accuracies, scores).statistic),
        "spearman": 0.0 if flat else float(spearman(accuracies, scores).statistic),
        "regret": float(accuracies.max() - accuracies[scores.argmax()]),
    }


def sign(score: str) -> int:
    """Return 1 for a score of which higher is better, else -1."""
    return 1 if SCORES[score].higher else -1


def extracted(extractor: FeatureExtractor, images: ImageSource, settings: RankTrialSettings) -> Features:
    """Return features from the cache, computed first where they are not there."""
    identity = json.dumps(extractor.identity(images), sort_keys=True)
    return extractor.extract(
        images, store=Path(settings.cache) / "features" / sha256(identity.encode()).hexdigest()[:24]
    )


def _mean(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean over sets of each score's figures; a score counts where all sets have it."""
    names = [name for name in parts[0] if all(name in part for part in parts)]
    return {
        name: {
            truth: {
                figure: float(np.mean([part[name][truth][figure] for part in parts]))
                for figure in parts[0][name][truth]
            }
            for truth in TRUTHS
        }
        for name in names
    }


def _tell(one: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(one["agreement"].items())
