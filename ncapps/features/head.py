"""The classifier on top of the pooled features: found, checked against the model, and callable by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ncapps.arrays import like, to_numpy
from ncapps.errors import InputError

_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}


class Head:
    """A backbone's classifier: features (images, feature width) in, logits (images, classes) out.

    It reads the model's own parameters, so it follows a model that is trained on.

    Parameters
    ----------
    *modules : nn.Module
        The classifier; distilled networks have two, whose logits are averaged.
    split : bool
        Each of the modules reads its own part of the features' columns.

    Attributes
    ----------
    weight, bias : ndarray or None
        float64, (classes, feature width) and (classes,); None where the head is not affine (an MLP, a normalised head):
        use class means there.

    Examples
    --------
    >>> Head(nn.Linear(4, 3))(np.zeros((2, 4), np.float32)).shape
    (2, 3)
    """

    def __init__(self, *modules: nn.Module, split: bool = False) -> None:
        self.modules: tuple[Any, ...] = modules
        self.split = split

    def __call__(self, features: Any) -> Any:
        """Return logits (images, classes) as float32, in the features' own kind of array."""
        if not isinstance(features, Tensor):
            device = next(self.modules[0].parameters()).device
            values = torch.from_numpy(np.ascontiguousarray(to_numpy(features), dtype=np.float32)).to(device)
            with torch.inference_mode():
                return like(to_numpy(self(values)), features)
        widths = [_width(module) for module in self.modules]
        parts = features.split(widths, dim=1) if self.split else [features] * len(self.modules)
        logits = [_apply(module, part) for module, part in zip(self.modules, parts, strict=True)]
        return torch.stack(logits).mean(0) if len(logits) > 1 else logits[0]

    @property
    def affine(self) -> bool:
        """Whether the logits are `features @ weight.T + bias`."""
        return all(_is_affine(module) for module in self.modules)

    @property
    def weight(self) -> np.ndarray | None:
        """The rows of the classes, float64 (classes, feature width); None where the head is not affine."""
        if not self.affine:
            return None
        rows = [_float64(module.weight).reshape(-1, _width(module)) for module in self.modules]
        return np.hstack(rows) / len(rows) if self.split else np.mean(rows, axis=0)

    @property
    def bias(self) -> np.ndarray | None:
        """The classes' offsets, float64 (classes,), zeros where it has none; None where it is not affine."""
        if not self.affine:
            return None
        offsets = [module.bias for module in self.modules]
        return np.mean([np.zeros(1) if offset is None else _float64(offset) for offset in offsets], axis=0) + np.zeros(
            len(_float64(self.modules[0].weight))
        )


def _float64(tensor: Any) -> np.ndarray:
    return tensor.detach().double().cpu().numpy()


def _width(module: Any) -> int:
    return module.in_channels if isinstance(module, nn.Conv2d) else getattr(module, "in_features", 0)


def _apply(module: nn.Module, features: Tensor) -> Tensor:
    dtype = next((parameter.dtype for parameter in module.parameters()), torch.float32)
    features = features.to(dtype)
    if isinstance(module, nn.Conv2d):
        return module(features[:, :, None, None]).flatten(1).float()
    return module(features).float()


@torch.no_grad()
def _is_affine(module: nn.Module) -> bool:
    """Tell whether the logits are weight times features plus bias: subclasses of nn.Linear may do something else."""
    if isinstance(module, nn.Conv2d):
        return module.kernel_size == (1, 1) and module.groups == 1
    if not isinstance(module, nn.Linear):
        return False
    probe = torch.randn(2, module.in_features, generator=torch.Generator().manual_seed(0)).to(module.weight)
    return agrees(module(probe), nn.functional.linear(probe, module.weight, module.bias))


def agrees(logits: Tensor, expected: Tensor) -> bool:
    """Tell whether two sets of logits are the same to the rounding of their own precision."""
    if logits.shape != expected.shape:
        return False
    scale = float(expected.detach().abs().max()) + 1e-12
    return (
        float((logits.float() - expected.float()).detach().abs().max()) <= _TOLERANCE.get(expected.dtype, 0.05) * scale
    )


def find_linear_head(model: nn.Module, batch: Tensor, named: str | None = None) -> str:
    """Return the name of the linear layer whose output is the model's output.

    Raises
    ------
    InputError
        If there is no such layer, or the named one is not it.
    """
    linears = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if named is not None:
        if named not in dict(model.named_modules()):
            raise InputError(f"the model has no layer {named!r}; its linear layers are {', '.join(linears) or 'none'}")
        linears = {named: model.get_submodule(named)}
    if not linears:
        raise InputError(
            f"{type(model).__name__} has no linear layer, so no head to read features before; "
            "name the layer that classifies with head=..."
        )
    outputs: dict[str, Any] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: outputs.__setitem__(name, out))
        for name, module in linears.items()
    ]
    try:
        result = model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(result, Tensor) or result.ndim != 2:
        raise InputError(f"{type(model).__name__} must return logits (images, classes), but returns {_kind(result)}")
    for name in reversed(outputs):
        if isinstance(outputs[name], Tensor) and agrees(outputs[name], result):
            return name
    raise InputError(
        f"{'layer ' + repr(named) if named else 'no linear layer'} of {type(model).__name__} "
        f"{'does not give' if named else 'gives'} the model's output; is there a softmax or a second head after it? "
        f"Its linear layers are {', '.join(linears)}"
    )


def _kind(result: Any) -> str:
    return f"a tensor of shape {tuple(result.shape)}" if isinstance(result, Tensor) else f"a {type(result).__name__}"
