"""Run a function that calls back, one call at a time: it waits at each call until it is asked to go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class _Closed(BaseException):
    """Raised inside the waiting function when nobody will ask it to go on."""


class Turns(Generic[Item], Iterator[Item]):
    """Turn a function that calls back into an iterator over what it calls back with.

    The function runs in a thread of its own, but never at the same time as the caller. Two networks can be run side by
    side in this way, layer by layer, whatever their code looks like, and neither has to be started again.

    Parameters
    ----------
    work : callable
        Called once, as `work(hand_over)`; each `hand_over(item)` returns when the next item is asked for.

    Examples
    --------
    >>> with Turns(lambda hand_over: [hand_over(n * n) for n in (1, 2, 3)]) as squares:
    ...     next(squares), next(squares)
    (1, 4)
    """

    def __init__(self, work: Callable[[Callable[[Item], None]], object]) -> None:
        self._work = work
        self._go_on, self._handed_over = threading.Semaphore(0), threading.Semaphore(0)
        self._items: list[Item] = []
        self._error: BaseException | None = None
        self._over = self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Turns[Item]:
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the function where it waits; its `finally` clauses run."""
        self._closing = True
        self._go_on.release()
        self._thread.join()

    def __next__(self) -> Item:
        if not self._over:
            self._go_on.release()
            self._handed_over.acquire()
        if self._error is not None:
            raise self._error
        if self._over:
            raise StopIteration
        return self._items.pop()

    def _run(self) -> None:
        self._go_on.acquire()
        try:
            if not self._closing:
                self._work(self._hand_over)
        except _Closed:
            pass
        except BaseException as error:  # it is the caller's, who gets it from __next__
            self._error = error
        self._over = True
        self._handed_over.release()

    def _hand_over(self, item: Item) -> None:
        self._items.append(item)
        self._handed_over.release()
        self._go_on.acquire()
        if self._closing:
            raise _Closed
