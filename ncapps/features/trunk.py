"""What comes before the classifier: the pooled features of a timm network, or of any module with a linear head."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Route:
    """How a network's pooled features are reached.

    Parameters
    ----------
    head_name : str, optional
        The linear layer whose input they are; None: timm's own interface.
    two_tokens : bool
        A distilled transformer: its class token and its distillation token, side by side, each with its own classifier.
    """

    head_name: str | None = None
    two_tokens: bool = False

    def features(self, model: Any, batch: Tensor) -> Tensor:
        """Return what goes into the classifier, (images, feature width), in the model's own precision."""
        if self.head_name is not None:
            return _input_of(model, self.head_name, batch)
        maps = model.forward_features(batch)
        if self.two_tokens:
            return torch.cat((maps[:, 0], maps[:, 1]), dim=1)
        pooled = model.forward_head(maps, pre_logits=True)
        # Classifiers that are 1 x 1 convolutions read features with two dimensions of one pixel left.
        return pooled.flatten(1) if pooled.ndim == 4 and pooled.shape[2:] == (1, 1) else pooled


class Trunk(nn.Module):
    """A private copy of a network without its classifier, in evaluation mode: a batch in, pooled features out."""

    def __init__(self, model: nn.Module, route: Route) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.route = route
        if route.head_name == "":
            self.model = nn.Identity()
        elif route.head_name is not None:
            self.model.set_submodule(route.head_name, nn.Identity())

    def forward(self, batch: Tensor) -> Tensor:
        """Return pooled features, (images, feature width)."""
        return self.model(batch) if self.route.head_name is not None else self.route.features(self.model, batch)


def is_timm(model: Any) -> bool:
    """Tell whether a module has timm's interface: features, head and classifier by name."""
    return all(callable(getattr(model, name, None)) for name in ("forward_features", "forward_head", "get_classifier"))


def _input_of(model: nn.Module, name: str, batch: Tensor) -> Tensor:
    seen: list[Tensor] = []
    hook = model.get_submodule(name).register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    try:
        model(batch)
    finally:
        hook.remove()
    return seen[-1]
