"""Find functions in a network that hold on to its layers: a copy of the network would go on using the first one's."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


def held_by_functions(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the attributes that are functions with a layer or tensor of the outside in them.

    `self.shortcut = lambda x: self.proj(x)` is such a one: `copy.deepcopy` leaves functions as they are, so that the
    copy's shortcut runs the first network's `proj`. A function that holds nothing, as `lambda x: x[:, :, ::2]`, is
    harmless, and so is a method.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(2, 2)
    >>> held_by_functions(model)
    ()
    >>> model.scaled = lambda x: 2 * model(x)
    >>> held_by_functions(model)
    ('scaled',)
    """
    found = []
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            functions = value if isinstance(value, (list, tuple)) else [value]
            if any(isinstance(one, (nn.Module, torch.Tensor)) for function in functions for one in _held(function)):
                found.append(f"{name}.{attribute}" if name else attribute)
    return tuple(found)


def _held(value: Any) -> Iterator[Any]:
    """Yield what a function was given to keep, and what it takes from its module."""
    if isinstance(value, functools.partial):
        # What a partial was given is copied with the network, unlike what a function holds.
        yield from _held(value.func)
    elif isinstance(value, types.FunctionType):
        yield from value.__defaults__ or ()
        yield from (value.__globals__[name] for name in value.__code__.co_names if name in value.__globals__)
        for cell in value.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # a name that has no value yet
                continue
