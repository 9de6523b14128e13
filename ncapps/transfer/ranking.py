"""What a ranking found: a row for each backbone, best first, as a table, as JSON, and in one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from ncapps.features import Skipped
from ncapps.transfer.estimate import Estimate
from ncapps.transfer.recommend import recommend, sentence
from ncapps.transfer.scores import SCORES
from ncapps.transfer.settings import RankSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class BackboneRow:
    """One backbone of a ranking.

    Parameters
    ----------
    name : str
        The candidate's name.
    width : int
        Features an image.
    scores : mapping from name to Estimate
        One for each of `SCORES` that was measured.
    behind : Estimate
        How far the primary score is behind the best one's, on the same draws; all 0 for the best itself.
    milliseconds, megabytes : float or None
        See `Cost`; None for features that came ready.
    on_front : bool
        Whether no other is both as cheap and as good; True where costs are not known.
    """

    name: str
    width: int
    scores: Mapping[str, Estimate]
    behind: Estimate
    milliseconds: float | None = None
    megabytes: float | None = None
    on_front: bool = True

    @property
    def told_from_best(self) -> bool:
        """Whether the 95 % interval of what it lacks to the best lies above 0."""
        return self.behind.interval()[0] > 0

    def as_dict(self) -> dict[str, Any]:
        """Return the row ready for JSON; a score is {value, low, high} and its parts, or {value} alone."""
        low, high = self.behind.interval()
        return {
            "name": self.name,
            "width": self.width,
            "milliseconds": self.milliseconds,
            "megabytes": self.megabytes,
            "on_front": self.on_front,
            "told_from_best": self.told_from_best,
            "behind_best": {"value": self.behind.value, "low": low, "high": high},
            "scores": {name: _plain(estimate) for name, estimate in self.scores.items()},
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class BackboneRanking:
    """Backbones by how well they suit some images; `print` it for the table and the recommendation.

    Parameters
    ----------
    rows : tuple of BackboneRow
        Best first, by the primary score.
    primary : str
        "held_out_classes"; "loo_accuracy" where there are too few classes to hide one.
    n_images, n_classes : int
        What was measured on.
    classes_of_data : int
        Classes of all the data, of which a small budget takes some.
    settings : RankSettings
        How it was measured.
    skipped : tuple of Skipped
        Chosen images that could not be read.
    """

    rows: tuple[BackboneRow, ...]
    primary: str
    n_images: int
    n_classes: int
    classes_of_data: int
    settings: RankSettings
    skipped: tuple[Skipped, ...] = ()

    @property
    def best(self) -> BackboneRow:
        """The row with the highest primary score."""
        return self.rows[0]

    @cached_property
    def recommended(self) -> BackboneRow:
        """The cheapest row that can't be told from the best."""
        return recommend(self.rows)

    @cached_property
    def recommendation(self) -> str:
        """The recommendation in one sentence."""
        return sentence(self.rows, self.primary)

    @property
    def columns(self) -> tuple[str, ...]:
        """The scores that were measured, the primary one first."""
        names = [name for name in SCORES if name in self.rows[0].scores]
        return (self.primary, *(name for name in names if name != self.primary))

    def cells(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return the table as text: its header, and a row of cells for each backbone."""
        header = ("backbone", *(SCORES[name].title for name in self.columns), "ms/image", "MB", "width")
        return header, tuple(
            (
                row.name,
                *(_cell(name, row.scores[name], name == self.primary) for name in self.columns),
                "-" if row.milliseconds is None else f"{row.milliseconds:.2f}",
                "-" if row.megabytes is None else f"{row.megabytes:.1f}",
                str(row.width),
            )
            for row in self.rows
        )

    def to_table(self) -> str:
        """Return the table as lines of text, columns lined up."""
        header, rows = self.cells()
        widths = [max(len(line[place]) for line in (header, *rows)) for place in range(len(header))]
        return "\n".join(
            "  ".join(cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(pairs))
            for pairs in (list(zip(line, widths, strict=True)) for line in (header, *rows))
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything ready for JSON."""
        return {
            "recommended": self.recommended.name,
            "best": self.best.name,
            "recommendation": self.recommendation,
            "primary": self.primary,
            "rows": [row.as_dict() for row in self.rows],
            "n_images": self.n_images,
            "n_classes": self.n_classes,
            "classes_of_data": self.classes_of_data,
            "settings": asdict(self.settings),
            "skipped": [[entry.key, entry.reason] for entry in self.skipped],
        }

    def __str__(self) -> str:
        return f"{self.to_table()}\n\n{self.recommendation}"


def _plain(estimate: Estimate) -> dict[str, float | None]:
    # Classes that coincide are infinitely far from collapse, and JSON has no word for that.
    value = estimate.value if math.isfinite(estimate.value) else None
    if len(estimate.replicates) < 2:
        return {"value": value, **estimate.parts}
    low, high = estimate.interval()
    return {"value": value, "low": low, "high": high, **estimate.parts}


def _cell(name: str, estimate: Estimate, with_interval: bool) -> str:
    if not SCORES[name].share:
        return f"{estimate.value:.3f}" if abs(estimate.value) < 1000 else f"{estimate.value:.3g}"
    if not with_interval:
        return f"{100 * estimate.value:.1f}"
    low, high = estimate.interval()
    return f"{100 * estimate.value:.1f} ({100 * max(low, 0):.1f}-{100 * min(high, 1):.1f})"
