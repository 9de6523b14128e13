"""The audit trail: what was done to which class, when, from how many images, and their digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from ncapps.arrays import Label


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One change of a classifier.

    Parameters
    ----------
    action : str
        "fit", "partial_fit", "add", "remove", "erase", "rename" or "merge".
    classes : tuple of str or of int
        The classes it was done to; for "rename" and "merge" the new name comes last.
    when : str
        The time in UTC, ISO 8601.
    images : int
        How many images came or went with it.
    digest : str
        SHA-256 of their features, or "" where the images themselves are not at hand.
    class_digests : tuple of str
        The same for each of the classes by itself, in their order; empty where the images are not at hand.
    """

    action: str
    classes: tuple[Label, ...]
    when: str
    images: int
    digest: str
    class_digests: tuple[str, ...] = ()

    @classmethod
    def now(
        cls,
        action: str,
        classes: tuple[Label, ...],
        images: int,
        rows: np.ndarray | None = None,
        labels: np.ndarray | None = None,
    ) -> AuditEntry:
        """Return an entry of this moment; `labels` name each row's class where the rows are of several."""
        whole = "" if rows is None else digest(rows)
        if rows is None or labels is None:
            each = (whole,) if whole and len(classes) == 1 else ()
        else:
            each = _class_digests(rows, labels, classes)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(action=action, classes=classes, when=when, images=images, digest=whole, class_digests=each)


def digest(rows: np.ndarray) -> str:
    """SHA-256 of features, their shape included."""
    return hashlib.sha256(repr(rows.shape).encode() + np.ascontiguousarray(rows).tobytes()).hexdigest()


def _class_digests(rows: np.ndarray, labels: np.ndarray, classes: tuple[Label, ...]) -> tuple[str, ...]:
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    parts = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    found = {name: digest(rows[part]) for name, part in zip(names.tolist(), parts, strict=True)}
    return tuple(found[name] for name in classes)


@dataclass(frozen=True, kw_only=True)
class Remainder:
    """What is left of a class after it was removed.

    Parameters
    ----------
    name : str or int
        The class.
    exact : bool
        Whether the classifier is bit for bit what it would be had the class never been there.
    images : int
        How many of its fitted images went into what stays frozen; 0 for an added class. Images that calibrated came
        without names, and are not counted.
    where : tuple of str
        The frozen parts that saw them.
    """

    name: Label
    exact: bool
    images: int
    where: tuple[str, ...]
