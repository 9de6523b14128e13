"""Record what a running network does between two layers, so that it can be done again on other values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

Segment = Callable[[torch.Tensor], torch.Tensor]


class SegmentRecorder(TorchFunctionMode):
    """While entered, note every operation on tensors that come from a marked one.

    Works on any network without tracing it: operations are noted as they run, with references to their parameters, so
    that a segment that is run again uses the parameters' values of that time.
    """

    def __init__(self) -> None:
        super().__init__()
        # By start: the start, the operations after it, and every tensor that comes from it, kept so that ids stay.
        self._records: dict[str, tuple[torch.Tensor, list[Any], dict[int, Any]]] = {}

    def start(self, name: str, values: torch.Tensor) -> None:
        """Follow this tensor from now on."""
        self._records[name] = (values, [], {id(values): values})

    def until(self, name: str, values: torch.Tensor) -> Segment | None:
        """Return the function from the marked tensor to this one; None if this one does not come from it."""
        start, operations, known = self._records[name]
        if id(values) not in known:
            return None
        first, last = id(start), id(values)
        ends = [place for place, operation in enumerate(operations) if operation[3] == last]
        operations = operations[: ends[-1] + 1 if ends else 0]

        def again(inputs: torch.Tensor) -> torch.Tensor:
            # A copy, since the first operation may work in place.
            found = {first: inputs.clone()}

            def swap(value: Any) -> Any:
                return found.get(id(value), value) if isinstance(value, torch.Tensor) else value

            for function, args, kwargs, result in operations:
                found[result] = function(*tree_map(swap, args), **tree_map(swap, kwargs))
            return found[last]

        return again

    def forget(self, name: str) -> None:
        """Follow this one no longer, and let go of its tensors."""
        self._records.pop(name, None)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: D105
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self._records and isinstance(result, torch.Tensor):
            tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
            for _, operations, known in self._records.values():
                if any(id(value) in known for value in tensors):
                    operations.append((func, args, kwargs, id(result)))
                    known[id(result)] = result
        return result
