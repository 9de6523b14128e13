"""`rank_backbones`: which backbone suits these images, told before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ncapps.config import did_you_mean
from ncapps.errors import InputError
from ncapps.features import open_images
from ncapps.transfer.candidates import Candidate, as_candidates
from ncapps.transfer.estimate import Estimate
from ncapps.transfer.gather import Gathered, gather
from ncapps.transfer.held_out_classes import FEWEST_CLASSES
from ncapps.transfer.pareto import pareto_front
from ncapps.transfer.ranking import BackboneRanking, BackboneRow
from ncapps.transfer.sample import TransferSample
from ncapps.transfer.scores import SCORES
from ncapps.transfer.settings import RankSettings


def rank_backbones(
    candidates: Any,
    data: Any = None,
    labels: Any = None,
    *,
    split: str | None = None,
    root: str | Path | None = None,
    budget: int = 2000,
    shots: int = 5,
    hidden_share: float = 0.3,
    draws: int = 20,
    seed: int = 0,
    scores: Sequence[str] | None = None,
    download: bool = False,
    cache: str | Path | None = None,
    **extractor: Any,
) -> BackboneRanking:
    """Rank backbones by how well their features serve some labelled images; nothing is trained.

    The order is by `held_out_classes`: part of the classes is hidden and added back from a few images, the harmonic
    mean of old and new accuracy is taken, many times over. It is absolute: rivals do not change it. Each candidate sees
    the same images, each through its own preprocessing.

    Parameters
    ----------
    candidates : mapping from name to candidate, or sequence of candidates
        See `as_candidates`: timm names, files of `ncapps train`, specs, modules, backbones, extractors, or features,
        shape (images, feature width), in the order of the images.
    data, labels, split, root
        The labelled images, as `open_images` takes them. Without `data` all candidates are features, of the images
        that `labels` name.
    budget, shots, hidden_share, draws, seed
        As in `RankSettings`.
    scores : sequence of str, optional
        Which of `SCORES` to measure; all of them without.
    download : bool
        Let timm fetch weights that are not on this machine.
    cache : path, optional
        A folder that keeps the features, for another call with the same images.
    extractor
        `device`, `precision`, `batch_size`, `workers`, `progress` ..., as `FeatureExtractor` takes them.

    Returns
    -------
    BackboneRanking

    Raises
    ------
    InputError
        If a candidate can't be built, the images have no labels or too few classes, or features do not fit them.

    Examples
    --------
    >>> y = np.arange(60) % 4
    >>> noise = np.random.default_rng(0).normal(size=(60, 4))
    >>> ranking = rank_backbones({"good": np.eye(4)[y] + 0.1 * noise, "bad": noise}, labels=y, shots=2)
    >>> ranking.recommended.name, ranking.best.name
    ('good', 'good')
    """
    settings = RankSettings(budget=budget, shots=shots, hidden_share=hidden_share, draws=draws, seed=seed)
    wanted = _wanted(scores)
    listed = as_candidates(candidates, download=download, **extractor)
    source = None if data is None else open_images(data, labels, split=split, root=root)
    gathered = gather(listed, source, labels, settings, None if cache is None else Path(cache))
    # Statistics and spectra of one backbone at a time: wide ones take much more room than their features.
    primary, columns = "", []
    silent = None if extractor.get("progress", True) else True
    for values in tqdm(gathered.values, desc="scoring", unit="backbone", disable=silent):
        sample = TransferSample.of(values, gathered.labels, settings)
        primary = "held_out_classes" if sample.n_classes >= FEWEST_CLASSES else "loo_accuracy"
        names = [name for name in SCORES if name == primary or name in wanted - {"held_out_classes"}]
        columns.append({name: SCORES[name].measure(sample) for name in names})
    measured = {name: SCORES[name].estimates([column[name] for column in columns]) for name in columns[0]}
    return BackboneRanking(
        rows=_rows(listed, gathered, measured, primary),
        primary=primary,
        n_images=len(gathered.labels),
        n_classes=len(np.unique(gathered.labels)),
        classes_of_data=gathered.classes_of_data,
        settings=settings,
        skipped=gathered.skipped,
    )


def _rows(
    listed: Sequence[Candidate], gathered: Gathered, measured: Mapping[str, list[Estimate]], primary: str
) -> tuple[BackboneRow, ...]:
    """Return the rows, best first."""
    main, costs = measured[primary], gathered.costs
    order = np.argsort([-one.value for one in main], kind="stable")
    front = np.ones(len(listed), dtype=bool)
    if all(cost is not None for cost in costs):
        front = pareto_front([cost.milliseconds for cost in costs if cost], [one.value for one in main])
    return tuple(
        BackboneRow(
            name=listed[place].name,
            width=gathered.values[place].shape[1],
            scores={name: found[place] for name, found in measured.items()},
            behind=main[order[0]].minus(main[place]),
            milliseconds=None if (cost := costs[place]) is None else cost.milliseconds,
            megabytes=None if cost is None else cost.megabytes,
            on_front=bool(front[place]),
        )
        for place in order
    )


def _wanted(scores: Sequence[str] | None) -> set[str]:
    wanted = SCORES if scores is None else [scores] if isinstance(scores, str) else scores
    for name in wanted:
        if name not in SCORES:
            raise InputError(f"there is no score {name!r}{did_you_mean(str(name), list(SCORES))}")
    return set(wanted)
