"""Call a function that may never return, and give up on it after a while."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class _TimeIsUp(BaseException):
    """Raised inside the worker thread, which has no other way of being told to stop."""


def call_with_time_limit(function: Callable[[], Result], seconds: float) -> Result:
    """Return `function()`, or raise TimeoutError if it has not come back after `seconds`.

    The function runs in a daemon thread of its own, so that this works outside the main thread, in notebooks and on
    every platform, and so that nothing has to be pickled. On time-out an exception is injected into that thread: a
    loop in Python ends at once, a call into compiled code ends when it comes back.

    Parameters
    ----------
    function : callable
        Takes no arguments.
    seconds : float
        The limit, in seconds of wall-clock time.

    Raises
    ------
    TimeoutError
        If the function did not return in time.
    """
    outcome: dict[str, Any] = {}

    def work() -> None:
        try:
            outcome["value"] = function()
        except BaseException as error:  # handed over to the caller's thread below
            outcome["error"] = error

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(seconds)
    if worker.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident or 0), ctypes.py_object(_TimeIsUp))
        raise TimeoutError(f"not finished after {seconds:g} s")
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]
