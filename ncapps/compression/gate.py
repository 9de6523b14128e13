"""The equivalence gate: removing channels must do exactly what ignoring them does."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ncapps.compression.surgery import outputs_left, shrunk_copy, zeroed_copy
from ncapps.compression.widths import InnerWidth

_logger = logging.getLogger(__name__)
TOLERANCE = 1e-5
"""The largest relative error (Euclidean norm) between the two networks that passes."""


def relative_errors(
    model: nn.Module, widths: Sequence[InnerWidth], kept: Sequence[Sequence[int]], example: torch.Tensor
) -> list[float]:
    """Compare the pruned network with the dense one whose consumers ignore the removed channels, before any repair.

    What float32 does not pass is held against float64, where the network runs in it: deep networks magnify the
    rounding of float32, which is no fault of the cut.

    Returns
    -------
    list of float
        Relative error of each consumer's output, in order, then that of the network's output; NaN counts as infinite.
    """
    errors = _errors(model, widths, kept, example)
    if max(errors) < TOLERANCE:
        return errors
    try:
        return _errors(copy.deepcopy(model).double(), widths, kept, example.double())
    except (RuntimeError, TypeError):
        return errors


def _errors(
    model: nn.Module, widths: Sequence[InnerWidth], kept: Sequence[Sequence[int]], example: torch.Tensor
) -> list[float]:
    names = [name for width in widths for name in width.consumers]
    pruned = _outputs(shrunk_copy(model, widths, kept), names, example)
    zeroed = _outputs(zeroed_copy(model, widths, kept), names, example)
    # A consumer that writes another width has lost channels in the pruned network alone.
    left = outputs_left(widths, kept)
    for place, name in enumerate(names):
        if name in left:
            channel_dim = 1 if isinstance(model.get_submodule(name), nn.Conv2d) else -1
            index = torch.as_tensor(left[name], device=zeroed[place].device)
            zeroed[place] = zeroed[place].index_select(channel_dim, index)
    return [_relative(a, b) for a, b in zip(pruned, zeroed, strict=True)]


def exact_widths(model: nn.Module, widths: Sequence[InnerWidth], example: torch.Tensor) -> tuple[InnerWidth, ...]:
    """Return those widths for which losing every other channel passes the gate; the others are left alone."""
    passed = list(widths)
    while passed:
        verdict = _first_failure(model, passed, example)
        if verdict is None:
            return tuple(passed)
        _logger.warning("%s is left at full width: its removal is not exact", passed[verdict].producer)
        del passed[verdict]
    return ()


def _first_failure(model: nn.Module, widths: list[InnerWidth], example: torch.Tensor) -> int | None:
    halves = [list(range(0, width.channels, 2)) for width in widths]
    try:
        errors = relative_errors(model, widths, halves, example)
    except RuntimeError:
        # Some shape is static: find out whose by taking the widths one at a time.
        for index, (width, half) in enumerate(zip(widths, halves, strict=True)):
            try:
                relative_errors(model, [width], [half], example)
            except RuntimeError:
                return index
        return 0
    # An early error reaches every later layer, so only the first one is to blame. The network's own output comes last.
    failed = [index for index, error in enumerate(errors) if not error < TOLERANCE]
    return min(failed[0], len(widths) - 1) if failed else None


def _outputs(model: nn.Module, names: Sequence[str], example: torch.Tensor) -> list[torch.Tensor]:
    modules = dict(model.named_modules())
    found: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Any:
        return lambda module, inputs, output: found.__setitem__(name, output.detach().clone())

    for name in names:
        modules[name].register_forward_hook(keep(name))
    with torch.no_grad():
        output = model(example)
    return [*(found[name] for name in names), output]


def _relative(a: torch.Tensor, b: torch.Tensor) -> float:
    error = float((a - b).norm() / b.norm().clamp_min(1e-30))
    return error if error == error else float("inf")
