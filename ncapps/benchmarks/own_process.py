"""Call a function in a process of its own: what hangs, crashes or eats memory there ends with it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Result = TypeVar("Result")


def call_in_own_process(function: Callable[..., Result], *arguments: Any, seconds: float) -> Result:
    """Return `function(*arguments)`, called in a fresh process.

    Parameters
    ----------
    function : callable
        Found by its name in the new process, so a function of a module; arguments and result are pickled by
        multiprocessing.
    seconds : float
        Wall-clock time after which the process is killed; its start counts.

    Raises
    ------
    TimeoutError
        If the function did not return in time.
    RuntimeError
        If it raised, or its process ended without a result.

    Examples
    --------
    >>> import math
    >>> call_in_own_process(math.gcd, 12, 18, seconds=60)
    6
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, function, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise TimeoutError(f"not finished after {seconds:g} s")
        error, value = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"the process ended without a result (exit code {process.exitcode})") from None
    finally:
        process.kill()
        process.join()
        ours.close()
    if error is not None:
        raise RuntimeError(error)
    return value


def _answer(connection: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        answer = (None, function(*arguments))
    except Exception as error:
        answer = (f"{type(error).__name__}: {error}", None)
    connection.send(answer)
