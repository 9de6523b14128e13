"""What an FSCIL run finds: each head's accuracy session by session, and the subject's paired lead over every other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from ncapps.benchmarks.bootstrap import interval
from ncapps.benchmarks.fscil import accuracies, harmonic_mean
from ncapps.errors import InputError

SUMMARIES = ("average", "last", "drop", "base", "new", "harmonic")
"""What a run is told by: the mean over all sessions of the accuracy among all classes seen, that of the last session,
first minus last, and base, new and harmonic mean after the last session."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadRun:
    """What one head did.

    Parameters
    ----------
    name : str
        Its name.
    canonical : numpy.ndarray
        Which test images were named right on the standard shots, bool (sessions, test images).
    redraws : numpy.ndarray
        The same on shots drawn anew, bool (draws, sessions, test images).
    seconds : dict
        To fit ("fit"), and to add all steps and test after each, a draw ("draw").
    """

    name: str
    canonical: np.ndarray
    redraws: np.ndarray
    seconds: dict[str, float]


def summarise(figures: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return SUMMARIES of `accuracies`, each of the shape that is left without the sessions.

    Examples
    --------
    >>> figures = {name: np.array([0.8, 0.6]) for name in ("all", "base", "new", "harmonic")}
    >>> {name: round(float(value), 6) for name, value in summarise(figures).items()}["drop"]
    0.2
    """
    every = figures["all"]
    found = {"average": every.mean(axis=-1), "last": every[..., -1], "drop": every[..., 0] - every[..., -1]}
    return found | {name: figures[name][..., -1] for name in ("base", "new", "harmonic")}


def mean_interval(values: np.ndarray, level: float = 0.95) -> list[float]:
    """Return mean, low and high over the first axis' draws by Student's t: [mean] alone where there are fewer than two.

    Raises
    ------
    InputError
        If there is no draw.

    Examples
    --------
    >>> [round(value, 3) for value in mean_interval(np.array([0.4, 0.5, 0.6]))]
    [0.5, 0.252, 0.748]
    """
    if not len(values):
        raise InputError("a mean over draws needs one draw or more, but none came")
    mean = float(values.mean())
    if len(values) < 2:
        return [mean]
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return [mean, mean - half, mean + half]


class LastSession:
    """Bootstrap of the harmonic mean after the last session, over draws of the shots and test images of each class.

    The same resamples serve every head, so differences between heads are paired.

    Parameters
    ----------
    draws : int
        How often the shots were drawn.
    labels : numpy.ndarray
        Class names of the test images.
    arrival : numpy.ndarray
        The session in which each test image's class comes.
    resamples, seed : int
        How many times, and of all draws.

    Examples
    --------
    >>> bootstrap = LastSession(2, np.array(["a", "a", "b"]), np.array([0, 0, 1]), resamples=50)
    >>> interval(bootstrap.replicates(np.ones((2, 3), dtype=bool)))
    (1.0, 1.0)
    """

    def __init__(
        self, draws: int, labels: np.ndarray, arrival: np.ndarray, *, resamples: int = 1000, seed: int = 0
    ) -> None:
        if draws < 1 or resamples < 1:
            raise InputError(f"a bootstrap needs draws and resamples, but {draws} and {resamples} came")
        self.base = np.asarray(arrival) == 0
        self._draws = _resampled(draws, resamples, np.random.default_rng([seed, 0]))
        codes = np.unique(labels, return_inverse=True)[1]
        self._images = np.empty((len(codes), resamples), dtype=np.float32)
        for code in range(codes.max() + 1):
            own = np.flatnonzero(codes == code)
            self._images[own] = _resampled(len(own), resamples, np.random.default_rng([seed, 1, code]))

    def replicates(self, hits: np.ndarray) -> np.ndarray:
        """Return the mean harmonic mean over draws on each resample, from hits (draws, test images)."""
        right = hits.astype(np.float32)
        base, new = (
            right[:, part] @ self._images[part] / self._images[part].sum(axis=0) for part in (self.base, ~self.base)
        )
        return (harmonic_mean(base, new) * self._draws).sum(axis=0) / len(hits)


def describe(run: HeadRun, arrival: np.ndarray, level: float) -> dict[str, Any]:
    """Return a head's figures, ready for JSON: sessions and summaries on the standard shots, and over the redraws."""
    canonical, redraws = accuracies(run.canonical, arrival), accuracies(run.redraws, arrival)
    whole, each = summarise(canonical), summarise(redraws)
    return {
        "canonical": {
            "sessions": {name: _numbers(values) for name, values in canonical.items()},
            "summary": {name: float(value) for name, value in whole.items()},
        },
        "redraws": {
            "draws": len(run.redraws),
            "sessions": {name: _numbers(values.mean(axis=0)) for name, values in redraws.items()},
            "summary": {name: mean_interval(values, level) for name, values in each.items()},
        },
        "seconds": run.seconds,
    }


def compare(
    runs: list[HeadRun],
    subject: str,
    labels: np.ndarray,
    arrival: np.ndarray,
    *,
    level: float,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Return the subject's lead over every other head, paired draw by draw.

    Returns
    -------
    dict
        By head: "summary", the mean difference of each of SUMMARIES as [mean, low, high] by Student's t over the draws;
        and "harmonic", the difference of harmonic means after the last session as [value, low, high] by `LastSession`.
        Empty where the subject did not run.
    """
    by_name = {run.name: run for run in runs}
    mine = by_name.pop(subject, None)
    if mine is None:
        return {}
    bootstrap = LastSession(len(mine.redraws), labels, arrival, resamples=resamples, seed=seed)
    own, replicates = summarise(accuracies(mine.redraws, arrival)), bootstrap.replicates(mine.redraws[:, -1])
    found: dict[str, Any] = {}
    for name, other in by_name.items():
        figures = summarise(accuracies(other.redraws, arrival))
        lead = interval(replicates - bootstrap.replicates(other.redraws[:, -1]), level)
        found[name] = {
            "summary": {key: mean_interval(own[key] - figures[key], level) for key in SUMMARIES},
            "harmonic": [float((own["harmonic"] - figures["harmonic"]).mean()), *lead],
        }
    return found


def _numbers(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _resampled(count: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each of `count` is drawn with replacement, (count, resamples)."""
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples).T.astype(np.float32)
