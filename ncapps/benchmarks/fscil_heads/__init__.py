"""The heads that FSCIL compares on the same features: every prototype metric, and the published methods' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ncapps.benchmarks.fscil_heads.average_cosine import AverageCosineHead
from ncapps.benchmarks.fscil_heads.base import BaseSession as BaseSession
from ncapps.benchmarks.fscil_heads.base import FSCILHead as FSCILHead
from ncapps.benchmarks.fscil_heads.cec import CECHead
from ncapps.benchmarks.fscil_heads.fact import FACTHead
from ncapps.benchmarks.fscil_heads.prototype import PrototypeHead
from ncapps.benchmarks.fscil_heads.teen import TEENHead
from ncapps.config import did_you_mean
from ncapps.errors import InputError
from ncapps.fewshot import METRICS, PrototypeClassifier

OURS = "prototype-"
"""What a prototype metric's name is preceded by: "prototype-cosine" is `PrototypeClassifier(metric="cosine")`."""

RIVALS: dict[str, Callable[..., FSCILHead]] = {
    "average-cosine": AverageCosineHead,
    "cec": CECHead,
    "teen": TEENHead,
    "fact": FACTHead,
}
"""Published heads; a name may go on after a dot, for the same head under other settings: "teen.0.5"."""


def default_head() -> str:
    """Return the name of the head that `PrototypeClassifier()` is."""
    return OURS + PrototypeClassifier().metric


def head_names(names: Sequence[str] = ()) -> list[str]:
    """Return the names asked for, or those of all heads; raise an InputError for one that is none."""
    known = [*(OURS + metric for metric in METRICS), *RIVALS]
    for name in names:
        if name not in known and name.partition(".")[0] not in RIVALS:
            raise InputError(f"there is no head {name!r}{did_you_mean(name, known)}")
    return list(names) or known


def make_head(name: str, settings: Mapping[str, Any] | None = None) -> FSCILHead:
    """Return an unfitted head.

    Raises
    ------
    InputError
        If there is none of that name, or it takes no such setting.

    Examples
    --------
    >>> make_head("teen.strong", {"weight": 0.5}).weight
    0.5
    """
    head_names([name])
    if name.startswith(OURS):
        if settings:
            raise InputError(f"{name} chooses its own settings; {', '.join(settings)} cannot be set here")
        return PrototypeHead(name.removeprefix(OURS))
    try:
        return RIVALS[name.partition(".")[0]](**(settings or {}))
    except TypeError as error:
        raise InputError(f"{name} does not take these settings: {error}") from None
