"""What a `Recognizer` answers, and what it says of how it was fitted."""

from __future__ import annotations

from dataclasses import dataclass

from ncapps.arrays import Label


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What is known of one image."""

    key: str
    """The image's path inside its folder or zip, or its number."""
    name: Label
    """The most likely class, also where the image is called unknown."""
    probability: float
    """Of that class among all classes, 0..1."""
    p_value: float
    """Share of held-out known images that fit their classes as badly or worse: small = unknown."""
    known: bool
    """False: the image fits no class."""
    nearest: tuple[tuple[Label, float], ...]
    """The likeliest classes with their probabilities, best first."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """One prediction an image that could be read, in order; the others are in `skipped` with the reason."""

    rows: tuple[Prediction, ...]
    skipped: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """How a recognizer came about, measured on the images that it held out for calibration."""

    n_fitted: int
    n_held_out: int
    accuracy_held_out: float
    reject_rate: float
    skipped: tuple[tuple[str, str], ...]
