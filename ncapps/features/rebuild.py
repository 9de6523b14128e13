"""A backbone's recipe for a file, and the backbone from recipe and weights again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ncapps import config
from ncapps.errors import InputError
from ncapps.features.backbone import Backbone
from ncapps.features.build import BackboneSpec
from ncapps.features.checkpoint import load_weights


def backbone_recipe(backbone: Backbone) -> dict[str, Any]:
    """Return, JSON-able, what builds a backbone again beside its weights: spec, preprocessing, hash of the weights.

    The weights lie beside the recipe, so it names neither checkpoint nor cache.
    """
    spec = backbone.spec
    if spec is not None:
        outputs = getattr(backbone.model, "num_classes", spec.num_classes)
        spec = replace(spec, num_classes=outputs, checkpoint=None, pretrained=False, download=False)
    return {
        "spec": None if spec is None else config.to_dict(spec),
        "preprocessing": asdict(backbone.preprocessing),
        "weights_hash": backbone.weights_hash,
        "tag": backbone.tag,
    }


def rebuild_backbone(
    recipe: Mapping[str, Any], weights: Mapping[str, np.ndarray], model: Any, path: str | Path
) -> Backbone:
    """Build the backbone of a recipe, with its weights, in evaluation mode.

    Parameters
    ----------
    model : nn.Module or None
        The network, where it is not one of timm's.
    path : path
        The file that both came from, for the errors' texts.

    Raises
    ------
    InputError
        If the network can't be built from its name, or the weights do not fit it or were changed.
    """
    settings = {**recipe["preprocessing"]}
    settings |= {key: tuple(settings[key]) for key in ("size", "mean", "std")}
    if model is None and recipe["spec"] is None:
        raise InputError(
            f"{path} was made with a network that is not timm's ({recipe['tag']}); "
            "pass it: Recognizer.load(path, model=...)"
        )
    network = config.from_dict(BackboneSpec, recipe["spec"], str(path)) if model is None else model
    backbone = Backbone(network, preprocessing=settings)
    load_weights(backbone.model, {key: torch.from_numpy(value) for key, value in weights.items()}, f"the file {path}")
    if backbone.weights_hash != recipe["weights_hash"]:
        raise InputError(f"{path} holds other weights than it was saved with; it was changed since")
    backbone.model.eval()
    return backbone
