"""What a detector writes to its file: arrays by name and a JSON-able header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ncapps.arrays import Label
from ncapps.ood.decision import Decision
from ncapps.ood.learned import Learned

_DECISION = ("scores", "members", "offsets")


def pack(
    base: Learned, added: Mapping[Label, np.ndarray], decision: Decision
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the header of what was fitted, added and calibrated."""
    names = sorted(added)
    arrays = {f"base.{name}": value for name, value in base.arrays.items()}
    arrays |= {f"added.{row}": added[name] for row, name in enumerate(names)}
    arrays |= {f"decision.{name}": getattr(decision, name) for name in _DECISION}
    arrays["decision.offset"] = np.asarray([decision.offset])
    return arrays, {"classes": list(base.classes), "added": names, "groups": list(decision.groups)}


def unpack(
    arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]
) -> tuple[Learned, dict[Label, np.ndarray], Decision]:
    """Take back what `pack` returned."""
    base = {name.removeprefix("base."): value for name, value in arrays.items() if name.startswith("base.")}
    added = {name: arrays[f"added.{row}"] for row, name in enumerate(header["added"])}
    decision = Decision(
        offset=float(arrays["decision.offset"][0]),
        groups=tuple(header["groups"]),
        **{name: arrays[f"decision.{name}"] for name in _DECISION},
    )
    return Learned(arrays=base, classes=tuple(header["classes"])), added, decision
