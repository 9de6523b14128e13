"""Watch a running network for the addition in which a branch joins its residual stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ncapps.compression.readers import is_question

_ADDITIONS = {"add", "add_", "__add__", "__radd__", "__iadd__"}


class ResidualWatch(TorchFunctionMode):
    """Call back when a watched tensor is added to another one of the same shape.

    Works on any network without tracing it: a branch's last tensor is recognised by its identity. Whatever else reads
    it first ends the watch: what a layer reads too is a stream that begins there, to which others will be added.

    Parameters
    ----------
    on_join : callable
        Called as `on_join(name, branch, shortcut)` just before the addition.
    """

    def __init__(self, on_join: Callable[[str, torch.Tensor, torch.Tensor], None]) -> None:
        super().__init__()
        self._on_join = on_join
        # With the tensor itself, so that an id stays its own as long as it is watched.
        self._watched: dict[int, tuple[torch.Tensor, str]] = {}

    def watch(self, name: str, branch: torch.Tensor) -> None:
        """Wait for the addition of this tensor."""
        self._watched[id(branch)] = (branch, name)

    def forget(self) -> None:
        """Let go of all watched tensors: call it after each forward pass."""
        self._watched.clear()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: D105
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _ADDITIONS and len(args) == 2 and not kwargs:
            self._look(args[0], args[1])
            self._look(args[1], args[0])
        result = func(*args, **kwargs)
        if self._watched and not is_question(result):
            for value in tree_leaves((args, kwargs)):
                self._watched.pop(id(value), None)
        return result

    def _look(self, branch: Any, other: Any) -> None:
        _, name = self._watched.get(id(branch), (None, ""))
        if name and isinstance(other, torch.Tensor) and other.shape == branch.shape:
            del self._watched[id(branch)]
            self._on_join(name, branch, other)
