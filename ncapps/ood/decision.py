"""`Decision`: held-out scores and the threshold they give; replaced whole, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ncapps import conformal
from ncapps.arrays import Label
from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Decision:
    """A threshold, and the held-out scores that it comes from.

    Parameters
    ----------
    offset : float
        Images that score below it are unknown; NaN = no threshold yet.
    scores : numpy.ndarray
        Scores of held-out known images, sorted; empty before calibration.
    groups : tuple
        Classes with a threshold of their own; empty where one serves all.
    members : numpy.ndarray
        Position in `groups` of the class that each held-out image is nearest to, in the order of `scores`.
    offsets : numpy.ndarray
        The threshold of each of the groups.
    """

    offset: float = float("nan")
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))
    groups: tuple[Label, ...] = ()
    members: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    offsets: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def calibrated(cls, scores: np.ndarray, reject_rate: float, nearest: Sequence[Label] | None = None) -> Decision:
        """Set the threshold from held-out scores; with the nearest class of each image, one a class.

        Raises
        ------
        InputError
            If the images, or those of one class, are too few for the rate, or a score is NaN.
        """
        order = np.argsort(conformal.check_scores(scores, "calibration scores"), kind="stable")
        scores = np.asarray(scores, dtype=np.float64)[order]
        if nearest is None:
            return cls(scores=scores).at_rate(reject_rate)
        names, members = np.unique(np.asarray(nearest), return_inverse=True)
        return cls(scores=scores, groups=tuple(names.tolist()), members=members[order]).at_rate(reject_rate)

    def at_rate(self, reject_rate: float) -> Decision:
        """Return the decision at another false-alarm rate, from the same scores."""
        offset = conformal.threshold(self.scores, reject_rate)
        offsets = [
            _own_threshold(name, self.scores[self.members == position], reject_rate)
            for position, name in enumerate(self.groups)
        ]
        return replace(self, offset=offset, offsets=np.array(offsets))

    def without(self, name: Label) -> Decision:
        """Drop a class's own threshold, so that a class of that name added later shares the common one."""
        if name not in self.groups:
            return self
        position = self.groups.index(name)
        # Its images stay among those that set the common threshold, as members of no group.
        members = np.where(self.members == position, -1, self.members - (self.members > position))
        groups = self.groups[:position] + self.groups[position + 1 :]
        return replace(self, groups=groups, members=members, offsets=np.delete(self.offsets, position))

    def offsets_of(self, classes: Sequence[Label], nearest: np.ndarray) -> np.ndarray:
        """Return each image's threshold; a class without calibration images of its own has that of all together."""
        return np.append(self.offsets, self.offset)[self._group_of(classes, nearest)]

    def p_values(
        self, scores: np.ndarray, classes: Sequence[Label] = (), nearest: np.ndarray | None = None
    ) -> np.ndarray:
        """Return conformal p-values, shape (images,), within the group of each image where there are groups."""
        pooled = conformal.p_values(scores, self.scores)
        if not self.groups or nearest is None:
            return pooled
        group = self._group_of(classes, nearest)
        # One sorted list of (group, rank) pairs serves all groups at once.
        stride = len(self.scores) + 1
        keys = np.sort(self.members * stride + np.arange(len(self.scores)))
        below = np.searchsorted(self.scores, scores, side="right")
        first = np.searchsorted(keys, group * stride)
        size = np.append(np.bincount(self.members[self.members >= 0], minlength=len(self.groups)), 0)[group]
        own = (1 + np.searchsorted(keys, group * stride + below) - first) / (size + 1)
        return np.where(group < len(self.groups), own, pooled)

    def _group_of(self, classes: Sequence[Label], nearest: np.ndarray) -> np.ndarray:
        """Return each image's position in `groups`, or their number where its class has none."""
        position = {name: place for place, name in enumerate(self.groups)}
        return np.array([position.get(name, len(self.groups)) for name in classes])[nearest]


def _own_threshold(name: Label, scores: np.ndarray, reject_rate: float) -> float:
    if len(scores) < conformal.images_needed(reject_rate):
        raise InputError(
            f"class {name!r} has {len(scores)} calibration image(s), but a false-alarm rate of {reject_rate:g} "
            f"for each class needs {conformal.images_needed(reject_rate)}; calibrate with per_class=False"
        )
    return conformal.threshold(scores, reject_rate)
