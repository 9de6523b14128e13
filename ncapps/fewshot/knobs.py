"""Knobs of a metric, chosen by adding hidden known classes back (`hidden_classes`), never on new classes or tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ncapps.fewshot.hidden_classes import SHOTS, Rehearsal
from ncapps.fewshot.metric import Arrays, Knobs, Metric
from ncapps.fewshot.rehearsed import Rehearsed, rehearsed_of_scores

# Offsets tried, in standard deviations of the lead that the best visible class has over the best hidden one.
_OFFSETS = np.round(np.linspace(-1.5, 1.5, 31), 2)
DEFAULT_OFFSET = 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """The knobs chosen, and scores under them to fit a temperature on.

    Parameters
    ----------
    knobs : dict of str to float
        The setting.
    harmonic_mean : float
        Of visible and hidden classes' accuracy under it, mean over rounds, draws and shots, in 0..1.
    scores : tuple of numpy.ndarray
        For each round, at the most shots: shape (images, classes), of visible and hidden images.
    codes : tuple of numpy.ndarray
        The column of each image's own class.
    weights : tuple of numpy.ndarray
        What each image counts: those of visible and those of hidden classes one half each, however many they are.
    visible : int
        How many of the columns, the first ones, are of visible classes.
    rehearsed : Rehearsed or None
        How the hidden classes fared under it.
    """

    knobs: Knobs
    harmonic_mean: float
    scores: tuple[np.ndarray, ...]
    codes: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]
    visible: int
    rehearsed: Rehearsed | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Outcome:
    """One setting in one round.

    Harmonic means, shape (shot numbers, offsets); the offsets' unit, and one draw's scores, for each shot number.
    """

    harmonic_means: np.ndarray
    units: np.ndarray
    scores: tuple[np.ndarray, ...]


def choose_knobs(metric: Metric, rounds: Iterable[Rehearsal], given: Knobs | None = None) -> Choice | None:
    """Return the setting nearest to the defaults among those as good as the best, or None where there is no round.

    As good means: the mean harmonic mean of visible and hidden accuracy lies within one standard error, over the
    rounds, of the best setting's (Breiman et al. 1984, section 3.4.3). Where classes are few, chance decides between
    settings, and the defaults hold; where they are many, the data do. With knobs `given` nothing is chosen, and the
    scores are theirs.
    """
    settings: list[Knobs] = []
    outcomes: list[list[_Outcome]] = []
    codes: list[np.ndarray] = []
    visible = 0
    for one in rounds:
        row: list[_Outcome] = []
        shots = [means.reshape(-1, means.shape[-1]) for means in one.shot_means]
        candidates = metric.candidates(one.statistics, *shots, one.images)
        if given is not None:
            candidates = [(given, metric.learn(one.statistics, given), (one.statistics.means, *shots, one.images))]
        for knobs, learned, turned in candidates:
            if not outcomes:
                settings.append(knobs)
            row.append(_outcome(metric, one, learned, turned))
        outcomes.append(row)
        codes.append(one.codes)
        visible = len(one.statistics.classes)
    if not outcomes:
        return None
    steps = _distance(metric, settings) if given is None else np.zeros(1)
    place, columns, mean = _decide(metric, steps, outcomes)
    knobs = dict(settings[place])
    chosen = [row[place] for row in outcomes]
    shots = [[outcome.scores[place].astype(np.float64) for outcome in chosen] for place in range(len(SHOTS))]
    if metric.offset and given is not None:
        offsets = np.array([given.get(f"offset_{count}", 0.0) for count in SHOTS])
    elif metric.offset:
        offsets = _OFFSETS[columns] * np.mean([outcome.units for outcome in chosen], axis=0)
        knobs |= {f"offset_{count}": float(offset) for count, offset in zip(SHOTS, offsets, strict=True)}
    if metric.offset:
        for offset, scored in zip(offsets, shots, strict=True):
            for part in scored:
                part[:, visible:] += offset
    late = [one >= visible for one in codes]
    weights = tuple(np.where(hidden, 0.5 / hidden.sum(), 0.5 / (~hidden).sum()) for hidden in late)
    return Choice(
        knobs=knobs,
        harmonic_mean=mean,
        scores=tuple(shots[-1]),
        codes=tuple(codes),
        weights=weights,
        visible=visible,
        rehearsed=rehearsed_of_scores(shots, codes, visible),
    )


def _outcome(metric: Metric, one: Rehearsal, learned: Arrays, turned: tuple[np.ndarray, ...]) -> _Outcome:
    means, *shot_means, images = turned
    if metric.offset:
        learned = {**learned, "offset_1": np.zeros(()), "offset_5": np.zeros(())}
    fitted = metric.place(learned, means, one.statistics.counts)
    counts = np.repeat(SHOTS, [len(flat) for flat in shot_means])
    added = metric.place_added(learned, np.concatenate(shot_means), counts)
    hidden = one.shot_means[0].shape[1]
    drawn = _scores_of_draws(metric, learned, fitted, added, hidden, images)
    curves, units, scores = [], [], []
    for count in SHOTS:
        old, new = drawn(counts == count)
        lead = _Lead.of(old, new, one.codes)
        unit = float(lead.value.std(axis=1).mean())
        offsets = _OFFSETS * unit if metric.offset else np.zeros(1)
        curves.append(lead.harmonic_means(offsets))
        units.append(unit)
        scores.append(np.hstack([old[0], new[0]]).astype(np.float32))
    return _Outcome(harmonic_means=np.array(curves), units=np.array(units), scores=tuple(scores))


def _scores_of_draws(
    metric: Metric, learned: Arrays, fitted: Arrays, added: Arrays, hidden: int, images: np.ndarray
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return what gives, for some rows of `added`, scores of visible and hidden classes: (draws, images, classes) each.

    `added` has the rows of the hidden classes, draw after draw.
    """

    def beside(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        both = []
        for start in np.flatnonzero(rows)[::hidden]:
            drawn = {key: value[start : start + hidden] for key, value in added.items()}
            both.append([metric.scores(learned, part, images) for part in metric.combine(learned, fitted, drawn)])
        return np.stack([old for old, _ in both]), np.stack([new for _, new in both])

    if type(metric).combine is not Metric.combine:
        return beside
    # Where no row moves another, one product does for all.
    placed = {key: np.concatenate([fitted[key], added[key]]) for key in fitted}
    scores = metric.scores(learned, placed, images)
    visible = scores.shape[1] - len(next(iter(added.values())))
    old, new = scores[:, :visible], scores[:, visible:]
    return lambda rows: (old[None], new[:, rows].reshape(len(images), -1, hidden).transpose(1, 0, 2))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Lead:
    """Of each image in each draw the lead of the best visible class over the best hidden one, and which are right."""

    value: np.ndarray
    old_right: np.ndarray
    new_right: np.ndarray
    weight: np.ndarray
    hidden: np.ndarray

    @classmethod
    def of(cls, old: np.ndarray, new: np.ndarray, codes: np.ndarray) -> _Lead:
        visible = old.shape[2]
        hidden = codes >= visible
        each = 1 / np.bincount(codes)[codes]
        value = old.max(axis=2) - new.max(axis=2)
        return cls(
            value=value,
            old_right=np.broadcast_to(old.argmax(axis=2) == codes, value.shape),
            new_right=new.argmax(axis=2) + visible == codes,
            # Classes count alike, however many images they have.
            weight=each / np.where(hidden, each[hidden].sum(), each[~hidden].sum()),
            hidden=hidden,
        )

    def harmonic_means(self, offsets: np.ndarray) -> np.ndarray:
        """Harmonic mean of visible and hidden accuracy, mean over the draws, with hidden scores raised by each offset.

        Shape (offsets,).
        """
        # A visible image that a hidden class takes is wrong, and the other way round: so only one side's sums move.
        raised = self.value > offsets[:, None, None]
        known, new = ~self.hidden, self.hidden
        old = (raised[..., known] & self.old_right[:, known]) @ self.weight[known]
        late = (~raised[..., new] & self.new_right[:, new]) @ self.weight[new]
        return (2 * old * late / np.maximum(old + late, 1e-12)).mean(axis=1)


def _decide(metric: Metric, steps: np.ndarray, outcomes: list[list[_Outcome]]) -> tuple[int, np.ndarray, float]:
    """Return the row of the setting, the columns of its offsets for each shot number, and its harmonic mean.

    `steps` tells how far each setting lies from the defaults.
    """
    # Shape (rounds, settings, shot numbers, offsets).
    found = np.array([[outcome.harmonic_means for outcome in row] for row in outcomes])
    columns = np.zeros(found.shape[1:3], dtype=np.int64)
    if metric.offset:
        far = np.abs(_OFFSETS - DEFAULT_OFFSET)
        for place in np.ndindex(columns.shape):
            columns[place] = _nearest_of_the_best(found[:, *place], far)
    best = np.take_along_axis(found, columns[None, :, :, None], axis=3)[..., 0].mean(axis=2)
    row = _nearest_of_the_best(best, steps)
    return row, columns[row], float(best[:, row].mean())


def _nearest_of_the_best(found: np.ndarray, distance: np.ndarray) -> int:
    """Return the column, of shape (rounds, columns), nearest to the defaults within a standard error of the best."""
    mean = found.mean(axis=0)
    behind = found[:, [mean.argmax()]] - found
    error = behind.std(axis=0, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else 0.0
    distance = np.where(behind.mean(axis=0) <= error, distance, np.inf)
    # Of those equally near the better one.
    nearest = np.flatnonzero(distance == distance.min())
    return int(nearest[mean[nearest].argmax()])


def _distance(metric: Metric, settings: list[Knobs]) -> np.ndarray:
    """Return how many steps of the grids each setting lies from the defaults; a knob without one counts nothing."""
    steps = np.zeros(len(settings))
    for name, value in metric.defaults.items():
        grid = metric.knobs[name]
        steps += [abs(grid.index(knobs[name]) - grid.index(value)) for knobs in settings]
    return steps
