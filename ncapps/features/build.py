"""Build a timm network from a spec, with its weights, or say in one line why that cannot be done."""

from __future__ import annotations

import difflib
import logging
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from ncapps.errors import InputError
from ncapps.features import cifar_resnet as _cifar_resnet  # noqa: F401  (registers the CIFAR ResNets with timm)
from ncapps.features.checkpoint import find_checkpoint, load_weights, read_notes, read_weights
from ncapps.features.stem import use_small_stem

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BackboneSpec:
    """Which network, and with which weights.

    Parameters
    ----------
    name : str
        A timm model name, with a tag ("resnet18.a1_in1k") or without ("resnet18").
    checkpoint : str, optional
        A file of weights; it decides, and `pretrained` is not asked.
    pretrained : bool or "auto"
        True: timm's weights of that name. False: random weights, to train from. "auto": timm's weights, and a name
        for which they are not at hand is refused rather than left random.
    download : bool
        Let timm fetch the weights over the network; otherwise only its local cache is looked into.
    num_classes : int, optional
        Outputs of the head; without it the checkpoint's or the model's own number.
    small_stem : bool
        First convolution with stride 1 and no max-pooling, for images of 32 pixels or so.
    model_kwargs : dict
        Further arguments of `timm.create_model`: {"pad_type": "same"}, {"img_size": 32, "patch_size": 4}.
    image_size, mean, std, interpolation, crop_pct
        Preprocessing instead of the model's own.
    """

    name: str
    checkpoint: str | None = None
    pretrained: bool | str = False
    download: bool = False
    num_classes: int | None = None
    small_stem: bool = False
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    image_size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    interpolation: str | None = None
    crop_pct: float | None = None

    def __post_init__(self) -> None:
        if self.pretrained not in (True, False, "auto"):
            raise InputError(f"pretrained must be True, False or 'auto', but {self.pretrained!r} came")

    def preprocessing_overrides(self) -> dict[str, Any]:
        """Return the preprocessing fields that are set here."""
        names = ("mean", "std", "interpolation", "crop_pct")
        return {"size": self.image_size, **{name: getattr(self, name) for name in names}}


def build_model(spec: BackboneSpec, *, seed: int | None = None) -> nn.Module:
    """Build the network of a spec on the CPU in float32.

    Parameters
    ----------
    spec : BackboneSpec
        What to build.
    seed : int, optional
        Seed of the random weights; without it torch's current random state decides. The state is left as it was.

    Raises
    ------
    InputError
        If the name is unknown, an argument is not the model's, or the weights do not fit or are not at hand.

    Examples
    --------
    >>> sum(p.numel() for p in build_model(BackboneSpec(name="cifar_resnet20"), seed=0).parameters())
    269722
    """
    _check_name(spec.name)
    kwargs: dict[str, Any] = dict(spec.model_kwargs)
    if spec.num_classes is not None:
        kwargs["num_classes"] = spec.num_classes
    if spec.checkpoint is None:
        kwargs.update(_pretrained_arguments(spec))
        return _create(spec, kwargs, seed)
    path = find_checkpoint(spec.checkpoint, spec.name)
    weights = read_weights(path)
    classifier = _config(spec.name).classifier
    classifier = classifier[0] if isinstance(classifier, (tuple, list)) else classifier
    rows = weights.get(f"{classifier}.weight")
    if rows is not None:
        kwargs.setdefault("num_classes", rows.shape[0])
    model = _create(spec, kwargs, seed)
    load_weights(model, weights, f"checkpoint {path}")
    return model


def checkpoint_notes(spec: BackboneSpec) -> dict[str, str]:
    """Return the notes that a spec's safetensors checkpoint carries; empty where there are none."""
    return {} if spec.checkpoint is None else read_notes(find_checkpoint(spec.checkpoint, spec.name))


def _create(spec: BackboneSpec, kwargs: dict[str, Any], seed: int | None) -> nn.Module:
    with torch.random.fork_rng(devices=[]) if seed is not None else nullcontext():
        if seed is not None:
            torch.manual_seed(seed)
        try:
            model = timm.create_model(spec.name, **kwargs)
        except (TypeError, ValueError, RuntimeError, AssertionError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"timm cannot build {spec.name} with {kwargs} ({reason}); do the model_kwargs fit it?"
            ) from error
        except OSError as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"the weights of {spec.name} could not be fetched ({reason}); is there a network? "
                "or give them as a file: checkpoint=FILE, --checkpoint FILE"
            ) from None
        if spec.small_stem:
            use_small_stem(model)
    return model


def _config(name: str) -> Any:
    return timm.models.get_pretrained_cfg(name)


def _check_name(name: str) -> None:
    if timm.is_model(name):
        bare, _, tag = name.partition(".")
        tags = [full.partition(".")[2] for full in timm.list_models(f"{bare}.*", pretrained=True)]
        if tag and tag not in tags and not bare.startswith("cifar_resnet"):
            hint = f"its tags are {', '.join(tags)}" if tags else "it has no pretrained weights in timm"
            raise InputError(f"timm knows {bare}, but not its tag {tag!r}; {hint}")
        return
    close = difflib.get_close_matches(name, [*timm.list_models(), *timm.list_pretrained()], n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else "; timm.list_models() names them all"
    raise InputError(f"timm knows no model called {name!r}{hint}")


def _pretrained_arguments(spec: BackboneSpec) -> dict[str, Any]:
    """Return what makes timm load weights from its cache, or over the network where that is allowed."""
    if spec.pretrained is False:
        return {}
    if spec.download:
        return {"pretrained": True}
    cached = _cached_file(spec.name)
    if cached is None:
        raise InputError(
            f"no weights of {spec.name} on this machine: give checkpoint=FILE, or allow the download with "
            "download=True, or say pretrained=False for random weights"
        )
    return {"pretrained": True, "pretrained_cfg_overlay": {"file": str(cached)}}


def _cached_file(name: str) -> Path | None:
    """Return timm's weights from the Hugging Face or torch cache, without asking the network."""
    from huggingface_hub import try_to_load_from_cache

    config = _config(name)
    if config is None:
        return None
    for file in (config.hf_hub_filename, "model.safetensors", "pytorch_model.bin"):
        if config.hf_hub_id and file:
            found = try_to_load_from_cache(config.hf_hub_id, file)
            if isinstance(found, str):
                return Path(found)
    if config.url:
        local = Path(torch.hub.get_dir()) / "checkpoints" / config.url.rsplit("/", 1)[-1]
        return local if local.is_file() else None
    return None
