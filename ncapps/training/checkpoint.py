"""Checkpoints: all that a run needs to go on exactly where it stopped, in one file, and no run but its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ncapps import config, persist
from ncapps.errors import InputError
from ncapps.training.meter import EpochRecord
from ncapps.training.optimizer import optimizer_arrays, restore_optimizer
from ncapps.training.settings import TrainSettings

_KIND = "training checkpoint"
_VERSION = 1
# What may differ between the two halves of a run without changing what is learned.
_FREE = ("device", "checkpoint_every")


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    head: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: Sequence[EpochRecord],
    settings: TrainSettings,
    data: str,
) -> None:
    """Write the run's state after its last finished epoch, atomically; `data` is the images' fingerprint."""
    arrays = {f"model/{name}": value for name, value in _arrays(model).items()}
    arrays |= {f"head/{name}": value for name, value in _buffers(head).items()}
    arrays |= {f"optimizer/{name}": value for name, value in optimizer_arrays(model, optimizer).items()}
    header = {
        "settings": config.to_dict(settings),
        "data": data,
        "history": [dataclasses.asdict(record) for record in history],
    }
    persist.save(path, _KIND, _VERSION, arrays, header)


def load_checkpoint(
    path: str | Path,
    model: nn.Module,
    head: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: TrainSettings,
    data: str,
) -> list[EpochRecord]:
    """Put a run's state back; return the records of the epochs that are done.

    Raises
    ------
    InputError
        If the file is no checkpoint, or one of other settings or other images: the first field that differs is named.
    """
    arrays, header = persist.load(path, _KIND, _VERSION)
    _check_settings(path, header, settings)
    if header["data"] != data:
        raise InputError(
            f"the checkpoint {path} is of a run on other images or labels; name another file to start anew"
        )
    part = {kind: _under(arrays, f"{kind}/") for kind in ("model", "head", "optimizer")}
    model.load_state_dict({name: torch.from_numpy(value) for name, value in part["model"].items()})
    buffers = dict(head.named_buffers(recurse=False))
    with torch.no_grad():
        for name, value in part["head"].items():
            buffers[name].copy_(torch.from_numpy(value))
    restore_optimizer(model, optimizer, part["optimizer"])
    return [EpochRecord(**record) for record in header["history"]]


def _check_settings(path: str | Path, header: dict[str, Any], settings: TrainSettings) -> None:
    stored, given = header["settings"], config.to_dict(settings)
    for name in (*given, *(name for name in stored if name not in given)):
        if name not in _FREE and stored.get(name) != given.get(name):
            raise InputError(
                f"the checkpoint {path} was made with {name}={stored.get(name)!r}, but these settings say "
                f"{given.get(name)!r}; go on with the same settings, or name another file to start anew"
            )


def _arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().cpu().numpy() for name, value in module.state_dict().items()}


def _buffers(head: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().cpu().numpy() for name, value in head.named_buffers(recurse=False)}


def _under(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
