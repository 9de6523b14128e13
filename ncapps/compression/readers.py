"""Count what reads a tensor in a running network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves


class ReaderCount(TorchFunctionMode):
    """While entered, count the operations that read each of some tensors.

    Examples
    --------
    >>> with ReaderCount() as readers:
    ...     values = torch.ones(2)
    ...     readers.follow(values)
    ...     values.shape, (values + 1).sum(), 2 * values
    (torch.Size([2]), tensor(4.), tensor([2., 2.]))
    >>> readers[values]
    2
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[int] = Counter()
        self._paused = False
        # The tensors themselves, so that an id stays its own.
        self._followed: dict[int, torch.Tensor] = {}

    def follow(self, values: torch.Tensor) -> None:
        """Count the readers of this tensor from now on."""
        self._followed[id(values)] = values

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Look at tensors without being counted."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    def __getitem__(self, values: torch.Tensor) -> int:
        """Return how many operations have read it."""
        return self._counts[id(values)]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: D105
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self._followed and not self._paused and not is_question(result):
            read = {id(value) for value in tree_leaves((args, kwargs))}
            self._counts.update(read & self._followed.keys())
        return result


def is_question(result: Any) -> bool:
    """Return whether an operation only asked for a shape, a type or a device, which is no reading."""
    return isinstance(result, (bool, int, str, torch.Size, torch.dtype, torch.device))
