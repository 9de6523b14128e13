"""`DriftMonitor`: an alarm when images stop looking like the known ones, with a false-alarm rate that holds."""

from __future__ import annotations

import math
import operator
import threading
from pathlib import Path
from typing import Any, Self

import numpy as np

from ncapps import persist
from ncapps.arrays import to_numpy
from ncapps.errors import InputError
from ncapps.ood.detector import Detector

_KIND, _VERSION = "drift-monitor", 1

# One bet an exponent: small ones win on images that are plainly unknown, large ones on a few unknowns among many known.
# Nearer 1 they win on so small an excess that unlucky calibration images set them off, which is no drift: with 200 or
# 1,000 that are three standard deviations out (simulated), up to 38 % of runs alarm at 0.9, and 4 % with these.
_EXPONENTS = np.array([0.2, 0.4, 0.6])


class DriftMonitor:
    """Watches a stream of conformal p-values and raises an alarm when too many of them are small.

    If calibration and streamed images are exchangeable, at most `false_alarm_rate` of all monitors alarm within
    `horizon` images, whatever the detector and however few the calibration images, and a false alarm takes
    `horizon / false_alarm_rate` images or more on average. Each p-value is ranked among the calibration images and the
    stream so far, which makes the smoothed ranks r independent and uniform (Fedorova et al. 2012, theorem 1); bare
    p-values would repeat the calibration images' own error until it looks like a drift. On r the bets e r^(e - 1) are
    placed, and the capital of each is restarted at every image and summed, M_t = (1 + M_(t-1)) e r_t^(e - 1): the
    Shiryaev-Roberts e-detector (Shin, Ramdas and Rinaldo 2023; Vovk 2021, "Testing randomness online"), which a long
    quiet time does not delay. As M_t has the mean t, P(max M >= c) is at most t / c (Doob).

    The stream becomes part of what is known: a drift that comes slowly, over thousands of images, is learned instead
    of reported, and the evidence fades while a drift lasts. The alarm stays up until `reset`.

    Parameters
    ----------
    calibration_size : int
        The number of held-out images that the p-values were computed from.
    false_alarm_rate : float
        The probability of an alarm within `horizon` images if nothing changes, between 0 and 1.
    horizon : int
        The number of images that the rate is told for.
    seed : int
        Seed of the random ranks among images of equal p-value.

    Attributes
    ----------
    alarm_at : int or None
        The image at which the alarm rose, the first one counted 0; None while there is none.
    evidence : float
        log10(1 + mean of M over the bets): 0 at the start, higher = more drift.
    seen : int
        The number of images since the start or the last `reset`.

    Raises
    ------
    InputError
        If a setting is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from ncapps.ood import DriftMonitor
    >>> monitor = DriftMonitor(calibration_size=99)
    >>> known = np.random.default_rng(0).integers(1, 101, size=2_000) / 100
    >>> monitor.update(known).alarm
    False
    >>> monitor.update([0.01] * 20).alarm
    True
    >>> monitor.alarm_at
    2003
    """

    def __init__(
        self, calibration_size: int, *, false_alarm_rate: float = 0.05, horizon: int = 10_000, seed: int = 0
    ) -> None:
        self.calibration_size = _whole(calibration_size, "calibration_size", 1)
        self.horizon = _whole(horizon, "horizon", 1)
        self.seed = _whole(seed, "seed", 0)
        if not 0 < false_alarm_rate < 1:
            raise InputError(
                f"false_alarm_rate is a probability between 0 and 1, but {false_alarm_rate} came; write 0.05 for 5 %"
            )
        self.false_alarm_rate = float(false_alarm_rate)
        self._lock = threading.Lock()
        self._drawn = 0
        self._random = np.random.Generator(np.random.PCG64(self.seed))
        self._clear()

    @classmethod
    def for_detector(
        cls, detector: Detector, *, false_alarm_rate: float = 0.05, horizon: int = 10_000, seed: int = 0
    ) -> Self:
        """Return a monitor for the p-values of a detector; raises InputError if it is not calibrated."""
        size = len(getattr(detector, "calibration_", ()))
        if not size:
            raise InputError(
                f"this {type(detector).__name__} is not calibrated, so it has no p-values to watch; "
                "call calibrate(X_held_out, reject_rate=0.05) first"
            )
        return cls(size, false_alarm_rate=false_alarm_rate, horizon=horizon, seed=seed)

    @property
    def alarm(self) -> bool:
        """Whether the evidence has reached the threshold since the start or the last `reset`."""
        return self.alarm_at is not None

    @property
    def threshold(self) -> float:
        """The evidence that raises the alarm: log10(1 + horizon / false_alarm_rate)."""
        return math.log10(1 + self.horizon / self.false_alarm_rate)

    def update(self, p_values: Any) -> Self:
        """Take in the p-values of new images, in the order of their arrival; one number or shape (images,).

        One call with many images ends in the same state, bit for bit, as many calls with one. Threads may share a
        monitor.

        Raises
        ------
        InputError
            If a value is no conformal p-value of `calibration_size` images; the state is then as it was.
        """
        below = self._below(p_values)
        with self._lock:
            draws = self._random.random(len(below))
            self._drawn += len(below)
            for cell, draw in zip(below.tolist(), draws.tolist(), strict=True):
                self._bet(self._rank(cell, draw))
        return self

    def reset(self) -> Self:
        """Take the alarm back and forget the stream; only the calibration images are known again."""
        with self._lock:
            self._clear()
        return self

    def save(self, path: str | Path) -> None:
        """Write the monitor to one safetensors file, atomically."""
        persist.save(path, _KIND, _VERSION, *self.state())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; the stream goes on as if it had never stopped.

        Raises
        ------
        InputError
            If the file is missing, damaged or of another kind.
        """
        return cls.restore(*persist.load(path, _KIND, _VERSION))

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the arrays and the JSON-able header that `restore` builds the monitor from."""
        names = ("calibration_size", "false_alarm_rate", "horizon", "seed")
        with self._lock:
            arrays = {"counts": self._counts.copy(), "logs": self._logs.copy()}
            header = {"seen": self.seen, "drawn": self._drawn, "alarm_at": self.alarm_at, "evidence": self.evidence}
        return arrays, {"settings": {name: getattr(self, name) for name in names}, **header}

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> Self:
        """Build the monitor again from `state()`."""
        monitor = cls(**header["settings"])
        monitor._counts, monitor._logs = arrays["counts"].copy(), arrays["logs"].copy()
        monitor.seen, monitor.alarm_at, monitor.evidence = header["seen"], header["alarm_at"], header["evidence"]
        monitor._drawn = header["drawn"]
        monitor._random = np.random.Generator(np.random.PCG64(monitor.seed).advance(monitor._drawn))
        return monitor

    def __reduce__(self) -> tuple[Any, ...]:
        # A lock can't be copied or sent to another process; the state can.
        return type(self).restore, self.state()

    def _clear(self) -> None:
        # The random numbers go on: those that led to the last alarm are not met again.
        self._counts = np.zeros(self.calibration_size + 1, dtype=np.int64)
        self._logs = np.zeros(len(_EXPONENTS))
        self.seen = 0
        self.alarm_at: int | None = None
        self.evidence = 0.0

    def _below(self, p_values: Any) -> np.ndarray:
        """Return how many calibration images lie below each image, 0..calibration_size."""
        values = np.atleast_1d(to_numpy(p_values))
        if values.ndim != 1 or values.dtype.kind not in "fiu":
            raise InputError(
                f"p-values are one number or one an image, but shape {values.shape} of type {values.dtype} came; "
                "pass detector.p_values(X)"
            )
        values = values.astype(np.float64)
        bad = ~((values > 0) & (values <= 1))
        if bad.any():
            raise InputError(
                f"p-values lie above 0 and up to 1, but {values[bad][0]:g} came ({int(bad.sum())} of {len(values)}); "
                "pass detector.p_values(X), not scores"
            )
        steps = values * (self.calibration_size + 1)
        cells = np.rint(steps)
        # A tenth of a step lets p-values pass that were rounded, to float32 or in a log file.
        bad = (np.abs(steps - cells) > 0.1) | (cells < 1)
        if bad.any():
            raise InputError(
                f"p-values of {self.calibration_size} calibration images are multiples of "
                f"1/{self.calibration_size + 1}, but {values[bad][0]:g} came; is calibration_size right?"
            )
        return cells.astype(np.int64) - 1

    def _rank(self, below: int, draw: float) -> float:
        """Return the smoothed rank of the next image among calibration images and stream, in 0..1, 0 excluded.

        Between two calibration images all orders of the stream are equally likely, so that the counts say all there
        is to know, and the memory does not grow.
        """
        counts = self._counts
        lower = below + int(counts[:below].sum())
        rank = (lower + (int(counts[below]) + 1) * (1.0 - draw)) / (self.calibration_size + 1 + self.seen)
        counts[below] += 1
        return rank

    def _bet(self, rank: float) -> None:
        """Place the bets on one rank; `_logs` are log(1 + M) of each."""
        logs = self._logs + np.log(_EXPONENTS) + (_EXPONENTS - 1) * math.log(rank)
        self._logs = np.logaddexp(0.0, logs)
        mean = float(np.logaddexp.reduce(self._logs)) - math.log(len(self._logs))
        self.evidence = max(mean, 0.0) / math.log(10)
        if self.alarm_at is None and self.evidence >= self.threshold:
            self.alarm_at = self.seen
        self.seen += 1


def _whole(value: Any, name: str, least: int) -> int:
    """Return a setting as an int, or say what it must be."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise InputError(f"{name} must be a whole number of {least} or more, but {value!r} came")
    return number
