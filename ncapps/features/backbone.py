"""A network as features plus head: by timm's names, from a checkpoint, or any module with a linear head."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ncapps.errors import InputError
from ncapps.features.build import BackboneSpec, build_model, checkpoint_notes
from ncapps.features.head import Head, agrees, find_linear_head
from ncapps.features.preprocessing import Preprocessing
from ncapps.features.trunk import Route, Trunk, is_timm

_logger = logging.getLogger(__name__)


class Backbone:
    """A network that gives pooled pre-logits features and logits in one forward pass.

    Parameters
    ----------
    model : str, BackboneSpec or nn.Module
        A timm name ("resnet18.a1_in1k"; see `BackboneSpec` for where its weights come from), a spec, or a module.
    checkpoint : path, optional
        Weights: .safetensors, or .pth/.pt without code; loaded strictly. A folder means NAME.safetensors or .pth in it.
    head : str, optional
        The linear layer that classifies, by its name in a module that is not timm's; found by itself otherwise.
    preprocessing : Preprocessing or mapping, optional
        Instead of the model's own data config; a mapping changes single fields: {"mean": (0.5, 0.5, 0.5)}.
    pretrained, download, small_stem, num_classes, model_kwargs
        As in `BackboneSpec`.

    Attributes
    ----------
    model : nn.Module
        The network itself, not a copy.
    head : Head or None
        The classifier, with head(features) == model(image); None where the network has none.
    preprocessing : Preprocessing
    feature_dim : int
        Feature width, read off a forward pass.
    classes : tuple of str or None
        Names of the head's classes, where the checkpoint tells them.
    tag : str
        The timm name, or the module's class name.

    Raises
    ------
    InputError
        If the name is unknown, the weights do not fit or are not at hand, or no head gives the model's output.

    Examples
    --------
    >>> backbone = Backbone("cifar_resnet20", pretrained=False)
    >>> backbone.feature_dim, backbone.head.weight.shape
    (64, (10, 64))
    """

    def __init__(
        self,
        model: str | BackboneSpec | nn.Module,
        *,
        checkpoint: str | Path | None = None,
        head: str | None = None,
        preprocessing: Preprocessing | Mapping[str, Any] | None = None,
        pretrained: bool | str = "auto",
        download: bool = False,
        small_stem: bool = False,
        num_classes: int | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        settings = {"checkpoint": checkpoint, "num_classes": num_classes, "model_kwargs": model_kwargs}
        flags = {"pretrained": pretrained != "auto", "download": download, "small_stem": small_stem}
        if not isinstance(model, str) and (any(v is not None for v in settings.values()) or any(flags.values())):
            raise InputError(
                "checkpoint, pretrained, small_stem, num_classes and model_kwargs go with a model's name; "
                f"{type(model).__name__} came, which is built already"
            )
        self.spec: BackboneSpec | None = None
        if isinstance(model, str):
            self.spec = BackboneSpec(
                name=model,
                checkpoint=None if checkpoint is None else str(checkpoint),
                pretrained=pretrained,
                download=download,
                small_stem=small_stem,
                num_classes=num_classes,
                model_kwargs=dict(model_kwargs or {}),
            )
        elif isinstance(model, BackboneSpec):
            self.spec = model
        self.model: nn.Module = build_model(self.spec) if self.spec else _module(model)
        self.tag = self.spec.name if self.spec else type(model).__name__
        self.preprocessing = self._preprocessing(preprocessing)
        self.route = Route(head_name=head)
        self.head: Head | None = None
        self.feature_dim = 0
        self._examine()
        self.classes = self._class_names()

    def _preprocessing(self, given: Preprocessing | Mapping[str, Any] | None) -> Preprocessing:
        if isinstance(given, Preprocessing):
            return given
        if given is None and not self.spec and not hasattr(self.model, "pretrained_cfg"):
            _logger.warning(
                "%s has no data config; 224 pixels and ImageNet's mean and std are assumed: say preprocessing=...",
                self.tag,
            )
        overrides = self.spec.preprocessing_overrides() if self.spec else {}
        return Preprocessing.of(self.model, **{**overrides, **(given or {})})

    @torch.no_grad()
    def _examine(self) -> None:
        """Find the head, prove that head(features) is the model's output, and read the feature width."""
        parameter = next(self.model.parameters(), torch.zeros(0))
        generator = torch.Generator().manual_seed(0)
        shape = (2, len(self.preprocessing.mean), *self.preprocessing.size)
        batch = torch.randn(shape, generator=generator).to(parameter.device, parameter.dtype)
        with _evaluating(self.model):
            try:
                expected = self.model(batch)
            except (RuntimeError, AssertionError, ValueError) as error:
                raise InputError(
                    f"{self.tag} refuses an input of shape {shape} ({str(error).splitlines()[0]}); "
                    "is the preprocessing's size the model's?"
                ) from error
            if is_timm(self.model) and self.route.head_name is None:
                features = self._examine_timm(batch, expected)
            else:
                self.route = Route(head_name=find_linear_head(self.model, batch, self.route.head_name))
                self.head = Head(self.model.get_submodule(str(self.route.head_name)))
                features = self.route.features(self.model, batch)
            if features.ndim != 2:
                raise InputError(
                    f"{self.tag} gives maps of shape {tuple(features.shape)}, not pooled features; pool them"
                )
            if not bool(torch.isfinite(features).all()):
                raise InputError(f"{self.tag} gives NaN or infinity on noise; are the weights damaged?")
        self.feature_dim = int(features.shape[1])

    def _examine_timm(self, batch: Tensor, expected: Tensor) -> Tensor:
        found: Any = self.model.get_classifier()  # type: ignore[operator]
        modules = list(found) if isinstance(found, (tuple, list, nn.ModuleList)) else [found]
        features = self.route.features(self.model, batch)
        if all(isinstance(module, nn.Identity | None) for module in modules):
            return features
        candidates = [(Route(), Head(*modules))]
        if len(modules) > 1:
            candidates += [(Route(two_tokens=two), Head(*modules, split=True)) for two in (False, True)]
        for route, head in candidates:
            if _reproduces(self.model, route, head, batch, expected):
                self.route, self.head = route, head
                return route.features(self.model, batch)
        _logger.warning(
            "%s: no classifier over its pooled features gives its output; use class means instead", self.tag
        )
        return features

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return features (images, feature width) and logits (images, classes) in float32, from one forward pass.

        The model runs as it stands: in training mode if it is in training mode, with gradients if they are on.
        """
        features = self.route.features(self.model, batch).float()
        return features, None if self.head is None else self.head(features)

    __call__ = forward

    def trunk(self) -> nn.Module:
        """Return a copy of the network, in evaluation mode, that maps a batch to its pooled features alone."""
        return Trunk(self.model, self.route)

    @property
    def weights_hash(self) -> str:
        """SHA-256 over all weights and buffers with their names, hexadecimal."""
        digest = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            value = value.detach().cpu().contiguous()
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def _class_names(self) -> tuple[str, ...] | None:
        names = tuple(checkpoint_notes(self.spec).get("classes", "").split()) if self.spec else ()
        rows = self.head(torch.zeros(1, self.feature_dim)).shape[1] if names and self.head else 0
        return names if names and len(names) == rows == len(set(names)) else None


def _module(model: Any) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise InputError(f"a backbone is a timm name or a torch.nn.Module, but {type(model).__name__} came")
    return model


def _reproduces(model: nn.Module, route: Route, head: Head, batch: Tensor, expected: Tensor) -> bool:
    try:
        return agrees(head(route.features(model, batch)), expected)
    except (RuntimeError, IndexError, TypeError):
        return False


class _evaluating:  # noqa: N801
    """Evaluation mode inside the block, every module's own flag back after it."""

    def __init__(self, model: nn.Module) -> None:
        self.flags = {module: module.training for module in model.modules()}
        self.model = model

    def __enter__(self) -> None:
        self.model.eval()

    def __exit__(self, *error: object) -> None:
        for module, flag in self.flags.items():
            module.training = flag
