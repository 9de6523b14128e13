"""`TrainResult`: the trained model, how it came about, and how to build it again."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ncapps import config, persist
from ncapps.arrays import Label
from ncapps.features.backbone import Backbone
from ncapps.features.build import BackboneSpec
from ncapps.features.checkpoint import load_weights
from ncapps.training.meter import EpochRecord
from ncapps.training.settings import TrainSettings

_KIND = "trained model"
_VERSION = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainResult:
    """What `train` returns.

    Parameters
    ----------
    model : nn.Module
        A timm model in evaluation mode; its classifier is an ordinary linear layer, its rows in the order of `classes`.
    backbone : Backbone
        The same model as `FeatureExtractor` takes it, with its preprocessing and head.
    history : tuple of EpochRecord
        One record an epoch.
    classes : tuple of str or of int
        Class names, sorted.
    settings : TrainSettings
        What the run was asked for.
    spec : BackboneSpec
        Builds the network again, with random weights; `save` keeps the trained ones.
    skipped : tuple of (key, reason)
        Training images that could not be read.
    """

    model: nn.Module
    backbone: Backbone
    history: tuple[EpochRecord, ...]
    classes: tuple[Label, ...]
    settings: TrainSettings
    spec: BackboneSpec
    skipped: tuple[tuple[str, str], ...] = ()

    def save(self, path: str | Path) -> None:
        """Write the weights with all that rebuilds the model, atomically; `load_trained` reads it back.

        The file is plain safetensors under timm's own names, so other programs can read the weights too.
        """
        header = {
            "spec": config.to_dict(self.spec),
            "classes": list(self.classes),
            "settings": config.to_dict(self.settings),
            "history": [dataclasses.asdict(record) for record in self.history],
        }
        arrays = {name: value.detach().cpu().numpy() for name, value in self.model.state_dict().items()}
        persist.save(path, _KIND, _VERSION, arrays, header)


def load_trained(path: str | Path) -> Backbone:
    """Return the backbone that `TrainResult.save` wrote, on the CPU, in evaluation mode, with its class names.

    Raises
    ------
    InputError
        If the file is missing, damaged or holds something else.
    """
    arrays, header = persist.load(path, _KIND, _VERSION)
    spec = config.from_dict(BackboneSpec, header["spec"], str(path))
    backbone = Backbone(spec)
    load_weights(backbone.model, {name: torch.from_numpy(array) for name, array in arrays.items()}, f"the model {path}")
    backbone.model.eval()
    backbone.classes = tuple(header["classes"])
    return backbone
