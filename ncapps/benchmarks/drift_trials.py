"""`drift_trials`: how often the drift monitor alarms without a drift, and how soon after one, on resampled scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ncapps.conformal import check_scores, p_values
from ncapps.errors import InputError
from ncapps.ood.drift import DriftMonitor

_BLOCK = 100


@dataclass(frozen=True, kw_only=True)
class DriftTrialSettings:
    """How many runs, and how long.

    Parameters
    ----------
    runs : int
        Of each kind.
    known_images : int
        Images of a run without a change; also the monitor's horizon.
    change_after, unknown_images : int
        Known images before a change, and the most unknown ones after it.
    false_alarm_rate : float
        The monitor's.
    seed : int
        Of all draws.
    """

    runs: int = 200
    known_images: int = 10_000
    change_after: int = 2_000
    unknown_images: int = 1_000
    false_alarm_rate: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("runs", "known_images", "change_after", "unknown_images"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be 1 or more, but {getattr(self, name)} came")


@dataclass(frozen=True, kw_only=True)
class ChangeTrials:
    """What the monitor did when unknown images began.

    Parameters
    ----------
    early : int
        Runs that alarmed before the change; they have no delay.
    missed : int
        Runs without an alarm; their delay counts as longer than any.
    delay_median, delay_95 : float or None
        Unknown images up to and with the one that raised the alarm: the median of the other runs, and what 95 % of them
        need at most. None where that lies among the missed ones.
    """

    early: int
    missed: int
    delay_median: float | None
    delay_95: float | None


@dataclass(frozen=True, kw_only=True)
class DriftTrials:
    """What the monitor did over many runs.

    Parameters
    ----------
    runs, false_alarms : int
        Runs over known images alone, and how many of them alarmed.
    changes : dict
        By the name of the unknown set that began.
    """

    runs: int
    false_alarms: int
    changes: dict[str, ChangeTrials]

    @property
    def false_alarm_share(self) -> float:
        """The share of the runs over known images that alarmed."""
        return self.false_alarms / self.runs


def drift_trials(
    validation: np.ndarray,
    report: np.ndarray,
    unknown: Mapping[str, np.ndarray],
    settings: DriftTrialSettings | None = None,
    *,
    fresh: bool,
) -> DriftTrials:
    """Run monitors over known images alone, and over known images that an unknown set follows.

    All streams are drawn with replacement; no image both calibrates and streams.

    Parameters
    ----------
    validation, report : numpy.ndarray
        Scores of known images that nothing was fitted on, shape (images,); higher = known.
    unknown : mapping from name to numpy.ndarray
        Scores of each unknown set.
    settings : DriftTrialSettings, optional
        How many runs, and how long; 200 over 10,000 images when left out.
    fresh : bool
        Whether each run draws as many calibration images as `validation` has from all known ones, and streams the
        others: the promised false-alarm rate is a mean over such draws. Otherwise `validation` calibrates every run.

    Raises
    ------
    InputError
        If a set is empty or a score is NaN.
    """
    settings = settings or DriftTrialSettings()
    sets = {"validation": validation, "report": report, **unknown}
    for name, scores in sets.items():
        if not len(check_scores(scores, f"{name} scores")):
            raise InputError(f"set {name!r} holds no scores to draw from")
    known = _Known(validation, report, fresh)
    alarms = [_alarm_at(known, None, settings, [0, run]) for run in range(settings.runs)]
    changes = {
        name: _change([_alarm_at(known, scores, settings, [place, run]) for run in range(settings.runs)], settings)
        for place, (name, scores) in enumerate(unknown.items(), 1)
    }
    return DriftTrials(runs=settings.runs, false_alarms=sum(at is not None for at in alarms), changes=changes)


class _Known:
    """The known scores, and which of them calibrate a run."""

    def __init__(self, validation: np.ndarray, report: np.ndarray, fresh: bool) -> None:
        self.scores, self.size, self.fresh = np.concatenate([validation, report]), len(validation), fresh

    def split(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores to calibrate on and those to stream."""
        scores = rng.permutation(self.scores) if self.fresh else self.scores
        return scores[: self.size], scores[self.size :]


def _alarm_at(known: _Known, unknown: np.ndarray | None, settings: DriftTrialSettings, run: list[int]) -> int | None:
    """Return the image at which one run alarms, the first one counted 0."""
    rng = np.random.default_rng([settings.seed, int(known.fresh), *run])
    calibration, rest = known.split(rng)
    stream = rng.choice(rest, settings.known_images if unknown is None else settings.change_after)
    if unknown is not None:
        stream = np.concatenate([stream, rng.choice(unknown, settings.unknown_images)])
    monitor = DriftMonitor(
        len(calibration),
        false_alarm_rate=settings.false_alarm_rate,
        horizon=settings.known_images,
        seed=int(rng.integers(2**32)),
    )
    values = p_values(stream, calibration)
    for start in range(0, len(values), _BLOCK):
        # What comes after the alarm does not move it.
        if monitor.update(values[start : start + _BLOCK]).alarm:
            break
    return monitor.alarm_at


def _change(alarms: list[int | None], settings: DriftTrialSettings) -> ChangeTrials:
    delays = np.array([np.inf if at is None else at + 1 - settings.change_after for at in alarms])
    later = delays[delays > 0]
    return ChangeTrials(
        early=len(delays) - len(later),
        missed=int(np.isinf(later).sum()),
        delay_median=_reached(later, 0.5),
        delay_95=_reached(later, 0.95),
    )


def _reached(delays: np.ndarray, share: float) -> float | None:
    """Return what this share of the runs needs at most; unlike an interpolated quantile it may meet missed ones."""
    found = np.quantile(delays, share, method="higher") if len(delays) else np.inf
    return float(found) if np.isfinite(found) else None
