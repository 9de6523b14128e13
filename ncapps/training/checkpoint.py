"""Checkpoints: all that a run needs to go on exactly where it stopped, in one file, and no run but its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from ncapps import config, persist
from ncapps.errors import InputError
from ncapps.training.optimizer import optimizer_arrays, restore_optimizer

KIND = "training checkpoint"
_VERSION = 1
Record = TypeVar("Record")
# What may differ between the two halves of a run without changing what is learned.
_FREE = ("device", "checkpoint_every")


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    head: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: Sequence[Any],
    settings: Any,
    data: str,
    *,
    kind: str = KIND,
) -> None:
    """Write the run's state after its last finished epoch, atomically.

    Parameters
    ----------
    model, head : nn.Module
        What learns; of the head its own buffers alone, for its layer is the model's.
    history : sequence of dataclass
        One record an epoch.
    settings : dataclass
        The run's.
    data : str
        The fingerprint of what the run learns from.
    kind : str
        What kind of run it is, as the file says.
    """
    arrays = {f"model/{name}": value for name, value in _arrays(model).items()}
    arrays |= {f"head/{name}": value for name, value in _buffers(head).items()}
    arrays |= {f"optimizer/{name}": value for name, value in optimizer_arrays(model, optimizer).items()}
    header = {
        "settings": config.to_dict(settings),
        "data": data,
        "history": [dataclasses.asdict(record) for record in history],
    }
    persist.save(path, kind, _VERSION, arrays, header)


def load_checkpoint(
    path: str | Path,
    model: nn.Module,
    head: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: Any,
    data: str,
    record: type[Record],
    *,
    kind: str = KIND,
) -> list[Record]:
    """Put a run's state back; return the records of the epochs that are done, as instances of `record`.

    Raises
    ------
    InputError
        If the file is no checkpoint, or one of other settings or other images: the first field that differs is named.
    """
    arrays, header = persist.load(path, kind, _VERSION)
    _check_settings(path, header, settings)
    if header["data"] != data:
        raise InputError(
            f"the checkpoint {path} is of a run on other images or labels, or of other networks; "
            "name another file to start anew"
        )
    part = {kind: _under(arrays, f"{kind}/") for kind in ("model", "head", "optimizer")}
    model.load_state_dict({name: torch.from_numpy(value) for name, value in part["model"].items()})
    buffers = dict(head.named_buffers(recurse=False))
    with torch.no_grad():
        for name, value in part["head"].items():
            buffers[name].copy_(torch.from_numpy(value))
    restore_optimizer(model, optimizer, part["optimizer"])
    return [record(**one) for one in header["history"]]


def _check_settings(path: str | Path, header: dict[str, Any], settings: Any) -> None:
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
