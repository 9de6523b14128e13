"""From scores and costs to one choice, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ncapps.transfer.ranking import BackboneRow

# Timings closer than this are noise, and no reason to prefer the worse of two.
_AS_CHEAP = 1.1


def recommend(rows: Sequence[BackboneRow]) -> BackboneRow:
    """Return the cheapest of the rows that can't be told from the best, which stands first.

    Of those that cost within a tenth of the cheapest the best is taken; where not all costs are known, the best of all.
    """
    if any(row.milliseconds is None for row in rows):
        return rows[0]
    tied = [row for row in rows if not row.told_from_best]
    least = min(row.milliseconds for row in tied if row.milliseconds is not None)
    return next(row for row in tied if row.milliseconds is not None and row.milliseconds <= _AS_CHEAP * least)


def sentence(rows: Sequence[BackboneRow], primary: str) -> str:
    """Return the recommendation in plain words; percentages with their 95 % intervals."""
    best, chosen = rows[0], recommend(rows)
    said = f"Take {chosen.name}: {_percent(chosen, primary)}{_time(chosen)}"
    if len(rows) == 1:
        return f"{said}; there is no other to compare it with."
    if chosen is not best:
        return (
            f"{said}. The best, {best.name}, has {_percent(best, primary)}{_time(best)}, and these images can't tell "
            "the two apart."
        )
    tied = [row.name for row in rows[1:] if not row.told_from_best]
    if not tied:
        return f"{said}, clearly above all others."
    cheap = "" if chosen.milliseconds is None else f", which {'is' if len(tied) == 1 else 'are'} not clearly cheaper"
    return f"{said}, the best; these images can't tell it from {_listed(tied)}{cheap}."


def _percent(row: BackboneRow, primary: str) -> str:
    estimate = row.scores[primary]
    low, high = estimate.interval()
    return f"{100 * estimate.value:.1f} % ({100 * max(low, 0):.1f} to {100 * min(high, 1):.1f})"


def _time(row: BackboneRow) -> str:
    return "" if row.milliseconds is None else f" at {row.milliseconds:.3g} ms an image"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
