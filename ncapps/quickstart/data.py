"""The task: digits 0 to 7 are known, 8 and 9 come later, textures and noise never."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ncapps.benchmarks.synthetic_images import noise, textures
from ncapps.features import ImageSource, open_images, split_by_class

KNOWN = tuple(range(8))
ADDED = (8, 9)
SHOTS = 5
DRAWS = 20
"""Which five images are drawn matters by some points, so the accuracy is the mean over so many draws."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DigitsTask:
    """The splits of one seed; all are sources of images."""

    train: ImageSource
    """60 % of the digits 0 to 7: what the network is trained on."""
    calibration: ImageSource
    """20 % of them: watched in training, they set threshold and temperature; the prototypes take them in last."""
    test: ImageSource
    """20 % of them: for reporting alone."""
    added: ImageSource
    """All images of the added digits."""
    shots: tuple[dict[int, np.ndarray], ...]
    """Draws of five images of each added digit, as positions in `added`; the other images are for reporting alone."""
    unknown: dict[str, ImageSource]
    """What is unknown before the digits are added, by name."""


def digits_task(seed: int = 0) -> DigitsTask:
    """Split the bundled digits by a seed; the same seed gives the same split."""
    digits = open_images("digits")
    labels = np.asarray(digits.labels)
    known = digits.select(np.flatnonzero(np.isin(labels, KNOWN)))
    train, calibration, test = (known.select(part) for part in split_by_class(known.labels, (0.6, 0.2, 0.2), seed))
    added = digits.select(np.flatnonzero(np.isin(labels, ADDED)))
    random = np.random.default_rng(seed)
    rows = {digit: np.flatnonzero(np.asarray(added.labels) == digit) for digit in ADDED}
    shots = tuple(
        {digit: np.sort(random.choice(rows[digit], SHOTS, replace=False)) for digit in ADDED} for _ in range(DRAWS)
    )
    side = 8
    unknown = {
        "digits 8 and 9": added,
        "textures": open_images(textures(300, side, seed)),
        "noise": open_images(noise(300, side, seed)),
    }
    return DigitsTask(
        train=train,
        calibration=calibration,
        test=test,
        added=added,
        shots=shots,
        unknown=unknown,
    )
