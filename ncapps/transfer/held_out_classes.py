"""Hide some classes, add them back from a few images each, and see how well old and new are told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ncapps.errors import InputError
from ncapps.transfer.estimate import Estimate
from ncapps.transfer.few_shot_rule import few_shot_rule

if TYPE_CHECKING:
    from ncapps.transfer.sample import TransferSample
    from ncapps.transfer.settings import RankSettings

Rule = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(known images, their classes, shots, their classes, asked images) to the class of each asked image."""

FEWEST_CLASSES = 3
"""One to hide, and two others, between which the spread of classes is learned."""

# The part of a known class's images that are asked about.
_ASKED = 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class Draw:
    """One choice of hidden classes and shots, as positions of images.

    Parameters
    ----------
    known, shots, asked : numpy.ndarray
        Images of the known classes to learn from, those of the hidden ones, and all that are asked about.
    hidden : numpy.ndarray
        The hidden classes.
    """

    known: np.ndarray
    shots: np.ndarray
    asked: np.ndarray
    hidden: np.ndarray


def draws(codes: np.ndarray, settings: RankSettings) -> Iterator[Draw]:
    """Yield seeded draws, the same for every backbone: they depend on the classes and the settings alone.

    Raises
    ------
    InputError
        If there are fewer than three classes, or none has more images than the shots.
    """
    counts = np.bincount(codes)
    if len(counts) < FEWEST_CLASSES:
        raise InputError(f"hiding classes needs {FEWEST_CLASSES} classes or more, but {len(counts)} came")
    able = np.flatnonzero(counts > settings.shots)
    if not len(able):
        raise InputError(
            f"no class has more than {settings.shots} images, so none can be added back from {settings.shots} and be "
            "asked about; give fewer shots or more images"
        )
    wanted = int(np.clip(round(settings.hidden_share * len(counts)), 1, len(counts) - 2))
    members = [np.flatnonzero(codes == code) for code in range(len(counts))]
    for number in range(settings.draws):
        random = np.random.default_rng([settings.seed, number])
        hidden = np.sort(random.permutation(able)[:wanted])
        known, shots, asked = [], [], []
        for code, rows in enumerate(members):
            rows = random.permutation(rows)
            # One image at least is learned from, and of two or more one at least is asked about.
            kept = len(rows) - max(int(_ASKED * len(rows)), min(1, len(rows) - 1))
            fitted = settings.shots if code in hidden else kept
            (shots if code in hidden else known).append(rows[:fitted])
            asked.append(rows[fitted:])
        if not (~np.isin(codes[np.concatenate(asked)], hidden)).any():
            raise InputError("no class that stays has two images, one to learn from and one to ask about; give more")
        yield Draw(known=np.concatenate(known), shots=np.concatenate(shots), asked=np.concatenate(asked), hidden=hidden)


def held_out_classes(sample: TransferSample, rule: Rule = few_shot_rule) -> Estimate:
    """Return the harmonic mean of the accuracies on known and on added classes, in 0..1; higher = better.

    In each draw `hidden_share` of the classes is hidden, then added back from `shots` images each; all classes compete.
    Both accuracies are means over classes. The draws share images, and the interval owns up to it. The features' first
    principal components are taken, of all images, without their labels.

    Parameters
    ----------
    rule : callable
        How images are named, see `Rule`.

    Returns
    -------
    Estimate
        One replicate a draw; its parts are the mean "base" and "new" accuracy.
    """
    base, new = [], []
    for draw in draws(sample.codes, sample.settings):
        known, shots, asked = (sample.reduced[rows] for rows in (draw.known, draw.shots, draw.asked))
        truth = sample.codes[draw.asked]
        right = rule(known, sample.codes[draw.known], shots, sample.codes[draw.shots], asked) == truth
        by_class = np.bincount(truth, right, minlength=sample.n_classes)
        counts = np.bincount(truth, minlength=sample.n_classes)
        hidden = np.isin(np.arange(sample.n_classes), draw.hidden)
        for found, part in ((base, ~hidden & (counts > 0)), (new, hidden)):
            found.append(float(np.mean(by_class[part] / counts[part])) if part.any() else 0.0)
    base, new = np.asarray(base), np.asarray(new)
    both = base + new
    hidden_classes = len(draw.hidden)
    return Estimate(
        replicates=2 * base * new / np.where(both > 0, both, 1.0),
        overlap=hidden_classes / (sample.n_classes - hidden_classes),
        parts={"base": float(base.mean()), "new": float(new.mean())},
    )
