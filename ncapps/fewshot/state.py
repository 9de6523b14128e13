"""What a `PrototypeClassifier` consists of: arrays and a header, to be saved, restored and hashed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ncapps.errors import InputError
from ncapps.fewshot.audit import AuditEntry
from ncapps.fewshot.calibration import Calibrated
from ncapps.fewshot.metrics import metric_named
from ncapps.fewshot.parameters import as_plain
from ncapps.fewshot.rehearsed import Rehearsed
from ncapps.fewshot.table import AddedClass
from ncapps.statistics import ClassStatistics

if TYPE_CHECKING:
    from ncapps.fewshot.classifier import PrototypeClassifier

# Files of version 2 have no calibration and no rehearsal.
KIND, VERSION, OLDEST = "prototype-classifier", 3, 2
_GROUPS = ("statistics", "frame", "learned", "added", "calibrated")

One = TypeVar("One", bound="PrototypeClassifier")


def pack(classifier: PrototypeClassifier) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the JSON-able header."""
    rows = classifier.added_
    groups = {
        "statistics": classifier.statistics_.arrays(),
        "frame": classifier.frame_,
        # What was learned is frozen: after a fitted class has gone, the statistics would give another geometry.
        "learned": classifier.learned_,
        "added": {str(place): rows[name] for place, name in enumerate(sorted(rows))},
        "calibrated": {"scores": classifier.calibrated_.scores},
    }
    header = {
        "parameters": as_plain(classifier.get_params(deep=False)),
        "width": classifier.n_features_in_,
        "fitted_knobs": classifier.knobs_,
        "fitted_temperature": classifier.temperature_,
        "spread": classifier.spread_,
        "added": sorted(rows),
        "statistics": classifier.statistics_.header(),
        "forgotten": classifier.forgotten_,
        "rehearsed": None if classifier.rehearsed_ is None else asdict(classifier.rehearsed_),
        "calibrated_with": {
            "threshold_classes": list(classifier.calibrated_.threshold_classes),
            "temperature_classes": list(classifier.calibrated_.temperature_classes),
        },
        "audit": [asdict(entry) for entry in classifier.audit_],
    }
    arrays = {f"{group}.{key}": np.asarray(value) for group, part in groups.items() for key, value in part.items()}
    return arrays, header


def unpack(cls: type[One], arrays: dict[str, np.ndarray], header: dict[str, Any]) -> One:
    """Build the classifier again; raises InputError where something is missing."""
    groups: dict[str, dict[str, np.ndarray]] = {group: {} for group in _GROUPS}
    for key, value in arrays.items():
        group, _, rest = key.partition(".")
        groups.setdefault(group, {})[rest] = value
    try:
        given = header["parameters"]
        one = cls(**(given | {"priors": None if given["priors"] is None else dict(map(tuple, given["priors"]))}))
        metric = metric_named(one.metric)
        one.n_features_in_ = int(header["width"])
        one.knobs_ = {name: float(value) for name, value in header["fitted_knobs"].items()}
        one.temperature_ = float(header["fitted_temperature"])
        one.spread_ = float(header.get("spread", 0.0))
        one.statistics_ = ClassStatistics.restore(groups["statistics"], header["statistics"])
        one.forgotten_ = int(header.get("forgotten", 0))
        one.frame_, one.learned_ = groups["frame"], groups["learned"]
        rows = {name: groups["added"][str(place)] for place, name in enumerate(header["added"])}
        seen = {part: tuple(names) for part, names in header.get("calibrated_with", {}).items()}
        one.calibrated_ = replace(Calibrated(), **groups["calibrated"], **seen)
        told = header.get("rehearsed")
        one.rehearsed_ = None if told is None else Rehearsed(**{key: _paired(value) for key, value in told.items()})
        one.audit_ = tuple(_entry(told) for told in header["audit"])
        added = {name: AddedClass.of(metric, one.frame_, one.learned_, part) for name, part in rows.items()}
        one._renew(added, fitted_moved=True)
    except KeyError as error:
        raise InputError(f"a saved classifier lacks {error}; is the file damaged?") from None
    return one


def state_hash(classifier: PrototypeClassifier) -> str:
    """SHA-256 over all that predictions depend on; the audit trail is not part of it."""
    arrays, header = pack(classifier)
    told = {key: value for key, value in header.items() if key != "audit"}
    sha = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for key in sorted(arrays):
        sha.update(f"{key}{arrays[key].shape}".encode() + np.ascontiguousarray(arrays[key]).tobytes())
    return sha.hexdigest()


def _paired(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _entry(told: dict[str, Any]) -> AuditEntry:
    """Build an entry from JSON, which knows no tuples; files written before have no digest of each class."""
    fields: dict[str, Any] = {**told}
    for name in ("classes", "class_digests"):
        fields[name] = tuple(told.get(name, ()))
    return AuditEntry(**fields)
