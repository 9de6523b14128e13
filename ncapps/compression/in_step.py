"""Run several functions that call back side by side, in step: each goes on when all have called back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Generic, TypeVar

from ncapps.compression.turns import Turns

Item = TypeVar("Item")


class InStep(Generic[Item], Iterator[list[Item]]):
    """Iterate over what several functions call back with, one item of each at a time.

    Batches of images wait for each other at a layer in this way, so that it can be refitted on all of them, while what
    needs no refit is computed batch after batch in little memory.

    Parameters
    ----------
    works : sequence of callable
        Each is called once, as `work(hand_over)`; all have to hand over equally often.

    Examples
    --------
    >>> def powers(base):
    ...     return lambda hand_over: [hand_over(base**n) for n in (1, 2)]
    >>> with InStep([powers(2), powers(3)]) as pairs:
    ...     list(pairs)
    [[2, 3], [4, 9]]
    """

    def __init__(self, works: Sequence[Callable[[Callable[[Item], None]], object]]) -> None:
        self._works = works
        self._turns: list[Turns[Item]] = []
        self._stack = ExitStack()

    def __enter__(self) -> InStep[Item]:
        self._turns = [self._stack.enter_context(Turns(work)) for work in self._works]
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave all functions where they wait."""
        self._stack.close()

    def __next__(self) -> list[Item]:
        return [next(turn) for turn in self._turns]
