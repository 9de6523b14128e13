"""Hand memory that has been freed back to the system."""

from __future__ import annotations

import ctypes
from typing import Any


def release_memory() -> bool:
    """Hand freed memory back to the system, where the C library keeps it; return whether any went back.

    glibc keeps what a thread has freed for that thread alone. Batches that wait for each other have a thread each, and
    together they would keep several times what is in use.

    Examples
    --------
    >>> isinstance(release_memory(), bool)
    True
    """
    trim = _malloc_trim()
    return trim is not None and bool(trim(0))


def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    # Other systems have no such function, or no library under no name.
    except (AttributeError, OSError, TypeError):
        return None
