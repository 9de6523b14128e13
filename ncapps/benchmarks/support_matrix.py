"""Which families of timm can be pruned: one row an architecture, made by trying it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from ncapps.benchmarks.environment import environment
from ncapps.benchmarks.own_process import call_in_own_process
from ncapps.benchmarks.support_settings import SupportSettings
from ncapps.benchmarks.support_trial import WORKS, examine_architecture

_logger = logging.getLogger(__name__)
SLOW, FAILED = "too slow", "failed"
SAVED = 0.9
"""With this fraction of the operations or parameters left, or less, there is something to gain."""


def measure_support(settings: SupportSettings) -> dict[str, Any]:
    """Try all architectures, each in a process of its own.

    Returns
    -------
    dict
        `rows`: one an architecture, as `examine_architecture` gives it, with a status ("works", "refused", "too slow"
        or "failed") and, where it does not work, the reason; `counts`: how many of each status, and how many save a
        tenth of operations or parameters or more; `seconds`: in all.
    """
    start = time.perf_counter()
    rows = []
    for name in tqdm(settings.architectures, desc="architectures", disable=None):
        rows.append(_row(name, settings))
        _logger.info("%s: %s", name, rows[-1].get("reason", rows[-1]["status"]))
    found = [row for row in rows if row["status"] == WORKS]
    saving = [row for row in found if min(row["macs_left"], row["params_left"]) <= SAVED]
    return {
        "settings": asdict(settings),
        "environment": environment(),
        "rows": rows,
        "counts": {
            "architectures": len(rows),
            **dict(Counter(row["status"] for row in rows)),
            "save a tenth": len(saving),
        },
        "worst_gate_error": max((row["gate_error"] for row in found), default=None),
        "seconds": time.perf_counter() - start,
    }


def _row(name: str, settings: SupportSettings) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        row = call_in_own_process(examine_architecture, name, settings, seconds=settings.time_limit)
    except TimeoutError as error:
        row = {"status": SLOW, "reason": str(error)}
    except RuntimeError as error:
        row = {"status": FAILED, "reason": (str(error).splitlines() or [type(error).__name__])[0]}
    return {"architecture": name, **row, "seconds": round(time.perf_counter() - start, 1)}
