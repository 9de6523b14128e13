"""One check, with one text, for every detector's numeric settings."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from ncapps.errors import InputError


def check_range(
    name: str, value: Any, low: float, high: float, *, closed: str = "neither", whole: bool = False, hint: str = ""
) -> None:
    """Raise an InputError unless a setting is a number between two bounds.

    Parameters
    ----------
    closed : {"neither", "low", "high", "both"}
        The bounds that are allowed themselves.
    whole : bool
        Whether it has to be an integer.
    hint : str
        The likely mend, for the error's text.
    """
    number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if number and (low < float(value) < high or _allowed(float(value), low, high, closed)):
        return
    kind = "a whole number" if whole else "a number"
    left, right = "[" if closed in ("low", "both") else "(", "]" if closed in ("high", "both") else ")"
    raise InputError(
        f"{name} must be {kind} in {left}{low:g}, {high:g}{right}, but {value!r} came" + (f"; {hint}" if hint else "")
    )


def _allowed(value: float, low: float, high: float, closed: str) -> bool:
    return (value == low and closed in ("low", "both")) or (value == high and closed in ("high", "both"))
