"""Weights from a file into a model: safetensors, or a PyTorch file without code; strictly, or one line why not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ncapps.errors import InputError

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar")
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict")


def find_checkpoint(path: str | Path, name: str) -> Path:
    """Return the weights' file: `path` itself, or in a folder the file called after the model.

    Raises
    ------
    InputError
        If there is no such file.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        candidates = [path / f"{name}{suffix}" for suffix in SUFFIXES]
        found = next((candidate for candidate in candidates if candidate.is_file()), None)
        if found is None:
            raise InputError(
                f"folder {path} holds no weights called {name}.safetensors or {name}.pth; name the file itself"
            )
        return found
    if not path.is_file():
        raise InputError(f"checkpoint {path} does not exist; is the path right?")
    return path


def read_notes(path: str | Path) -> dict[str, str]:
    """Return a safetensors file's own notes, its metadata; empty for other files."""
    if Path(path).suffix != ".safetensors":
        return {}
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name.

    Raises
    ------
    InputError
        If the file is damaged, or holds more than weights.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            loaded: Any = load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises half a dozen unrelated types on damaged files
        if "Weights only load failed" in str(error):
            raise InputError(
                f"checkpoint {path} holds Python objects, not weights alone, and is not opened; "
                "save model.state_dict() or safetensors instead"
            ) from None
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"checkpoint {path} is damaged ({reason}); was it copied or downloaded in full?") from None
    weights = _unwrap(loaded)
    if not weights:
        raise InputError(f"checkpoint {path} holds no tensors by name; save model.state_dict()")
    return weights


def _unwrap(loaded: Any) -> dict[str, Tensor]:
    if not isinstance(loaded, Mapping):
        return {}
    for key in _WRAPPERS:
        if isinstance(loaded.get(key), Mapping):
            return _unwrap(loaded[key])
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
    for prefix in ("module.", "_orig_mod."):
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], origin: str) -> None:
    """Load weights strictly; only batch norm's batch counters may be missing.

    Raises
    ------
    InputError
        If names or shapes do not match; `origin` names the file in the message.
    """
    own = model.state_dict()
    missing = [name for name in own if name not in weights and not name.endswith("num_batches_tracked")]
    surplus = [name for name in weights if name not in own]
    if missing or surplus:
        parts = [f"lacks {_some(missing)}"] * bool(missing) + [f"has {_some(surplus)} that the model lacks"] * bool(
            surplus
        )
        raise InputError(
            f"{origin} does not fit {type(model).__name__}: it {' and '.join(parts)}; is it another model's?"
        )
    for name, value in weights.items():
        if value.shape != own[name].shape:
            raise InputError(
                f"{origin} does not fit {type(model).__name__}: its {name} has the shape {tuple(value.shape)}, the "
                f"model's {tuple(own[name].shape)}; was it trained with other settings (classes, stem, image size)?"
            )
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputError(f"{origin} holds NaN or infinity in {name}; did the training diverge?")
    model.load_state_dict(dict(weights), strict=False)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
