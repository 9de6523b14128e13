"""Watch a running network for the addition in which a branch joins its residual stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_ADDITIONS = {"add", "add_", "__add__", "__radd__", "__iadd__"}


class ResidualWatch(TorchFunctionMode):
    """Call back when a watched tensor is added to another one of the same shape.

    Works on any network without tracing it: a branch's last tensor is recognised by its identity and by its version
    counter, so that an activation that works in place on it ends the watch.

    Parameters
    ----------
    on_join : callable
        Called as `on_join(name, branch, shortcut)` just before the addition.
    """

    def __init__(self, on_join: Callable[[str, torch.Tensor, torch.Tensor], None]) -> None:
        super().__init__()
        self._on_join = on_join
        self._watched: dict[int, tuple[torch.Tensor, int, str]] = {}

    def watch(self, name: str, branch: torch.Tensor) -> None:
        """Wait for the addition of this tensor; it is kept alive until `forget`, so that its id stays its own."""
        self._watched[id(branch)] = (branch, branch._version, name)

    def forget(self) -> None:
        """Let go of all watched tensors: call it after each forward pass."""
        self._watched.clear()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: D105
        if getattr(func, "__name__", "") in _ADDITIONS and len(args) == 2 and not kwargs:
            self._look(args[0], args[1])
            self._look(args[1], args[0])
        return func(*args, **(kwargs or {}))

    def _look(self, branch: Any, other: Any) -> None:
        entry = self._watched.get(id(branch))
        if entry is None or not isinstance(other, torch.Tensor) or other.shape != branch.shape:
            return
        if entry[1] == branch._version:
            self._on_join(entry[2], branch, other)
