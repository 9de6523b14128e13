"""A classifier's parameters as they were given: checked before a fit, and plain numbers in a file."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

from ncapps.arrays import native
from ncapps.errors import InputError
from ncapps.fewshot.metric import Knobs, Metric


def given_knobs(name: str, metric: Metric, knobs: Any) -> Knobs | None:
    """Return the knobs that were given, with the defaults of the others, or None where "auto" chooses them.

    Raises
    ------
    InputError
        If they are no mapping, or the metric of this name has no such knob, or a value is outside its limits.

    Examples
    --------
    >>> from ncapps.fewshot.metrics import metric_named
    >>> given_knobs("teen", metric_named("teen"), {"calibration": 1})
    {'calibration': 1.0, 'sharpness': 16.0}
    """
    if knobs == "auto":
        return None
    if not isinstance(knobs, Mapping):
        raise InputError(f"knobs must be a mapping from name to number, or 'auto', but {knobs!r} came")
    strange = sorted(set(knobs) - set(metric.names()), key=str)
    if strange:
        known = ", ".join(metric.names()) or "none"
        raise InputError(f"the metric {name!r} has no knob {strange[0]!r}; its knobs: {known}")
    for knob, value in knobs.items():
        low, high = metric.limits.get(knob, (-inf, inf))
        if not (_finite(value) and low <= value <= high):
            limits = f"a number of {low:g} or more" if high == inf else f"a number between {low:g} and {high:g}"
            wanted = "a finite number" if low == -inf else limits
            raise InputError(f"the knob {knob!r} of the metric {name!r} must be {wanted}, but {value!r} came")
    return metric.defaults | {knob: float(value) for knob, value in knobs.items()}


def given_temperature(temperature: Any) -> float | None:
    """Return the temperature that was given, or None for "auto"; raises InputError unless it is above 0 and finite."""
    if isinstance(temperature, str) and temperature == "auto":
        return None
    value = float(temperature) if _finite(temperature) else 0.0
    if not value > 0:
        raise InputError(f"the temperature must be above 0, or 'auto', but {temperature!r} came")
    return value


def as_plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON has them: numpy's numbers as Python's, priors as pairs, for keys may be numbers."""
    plain = {key: _plain(value) for key, value in parameters.items()}
    priors = parameters.get("priors")
    return plain | {"priors": None if priors is None else [[native(key), float(one)] for key, one in priors.items()]}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def _finite(value: Any) -> bool:
    return isinstance(value, Real) and isfinite(value)
