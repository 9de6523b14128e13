"""Rebuild a compressed network from its file and a freshly built dense one: by tensor shapes, without torch-pruning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ncapps import persist
from ncapps.compression.collapse_profile import DepthCollapse
from ncapps.compression.heads import HeadWidth
from ncapps.compression.preparation import working_copy
from ncapps.compression.result import (
    KIND,
    VERSION,
    Compressed,
    CompressionPlan,
    CompressionReport,
    FrontPoint,
    WidthPlan,
    shapes_of,
)
from ncapps.compression.streams import StreamWidth
from ncapps.compression.surgery import fit_sizes
from ncapps.compression.widths import InnerWidth
from ncapps.errors import InputError


def load_compressed(path: str | Path, model: nn.Module) -> Compressed:
    """Read a compressed network back; its outputs are bit for bit those of the saved one.

    Parameters
    ----------
    path : str or Path
        A file that `Compressed.save` wrote.
    model : nn.Module
        The dense network, freshly built in the same way as the one that was compressed; its weights do not matter, and
        it is not changed.

    Raises
    ------
    InputError
        If the file is missing or damaged, or the network is not the one that was compressed.

    Examples
    --------
    >>> import pathlib, tempfile, timm, torch
    >>> from ncapps.compression import compress, load_compressed
    >>> build = lambda: timm.create_model("resnet18", channels=(8, 16, 32, 64))
    >>> small = compress(build(), torch.randn(8, 3, 32, 32), macs=0.8, progress=False)
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "small.safetensors"
    >>> small.save(file)
    >>> again = load_compressed(file, build())
    >>> again.report.macs_ratio <= 0.8
    True
    """
    arrays, header = persist.load(path, KIND, VERSION)
    try:
        plan = _plan(header["plan"])
        report = _report(header["report"])
        shapes = header["dense_shapes"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: its header lacks or misnames a field ({error})") from None
    _check_backbone(path, shapes, model)
    _check_tensors(path, arrays, plan, shapes)
    rebuilt = working_copy(model)
    # With every name of a shared module: its tensors are saved under each.
    modules: dict[str, Any] = dict(rebuilt.named_modules(remove_duplicate=False))
    for name in plan.added_biases:
        modules[name].bias = nn.Parameter(torch.empty(0))
    for name, array in arrays.items():
        _place(modules, name, array)
    for module in modules.values():
        fit_sizes(module)
    for width in plan.widths:
        _inner(width).resize(rebuilt, len(width.kept))
    return Compressed(model=rebuilt.eval(), plan=plan, report=report, dense_shapes=shapes)


def _plan(header: dict[str, Any]) -> CompressionPlan:
    widths = tuple(
        WidthPlan(**{**width, **{name: tuple(value) for name, value in width.items() if isinstance(value, list)}})
        for width in header["widths"]
    )
    classes = None if header["classes"] is None else tuple(header["classes"])
    biases = tuple(header["added_biases"])
    return CompressionPlan(**{**header, "widths": widths, "added_biases": biases, "classes": classes})


def _inner(width: WidthPlan) -> InnerWidth:
    common: dict[str, Any] = {
        "producer": width.producer,
        "coupled": width.coupled,
        "consumer": width.consumer,
        "channels": width.channels,
    }
    if width.further_producers or width.further_consumers:
        return StreamWidth(
            **common, further_producers=width.further_producers, further_consumers=width.further_consumers
        )
    return InnerWidth(**common) if width.head_dim is None else HeadWidth(**common, head_dim=width.head_dim)


def _report(header: dict[str, Any]) -> CompressionReport:
    interval = None if header["drop_interval"] is None else tuple(header["drop_interval"])
    front = tuple(FrontPoint(**point) for point in header["front"])
    profile = header.get("collapse_profile")
    profile = None if profile is None else tuple(DepthCollapse(**one) for one in profile)
    return CompressionReport(**{**header, "drop_interval": interval, "front": front, "collapse_profile": profile})


def _check_backbone(path: str | Path, shapes: dict[str, list[int]], model: nn.Module) -> None:
    given = shapes_of(model)
    if given == shapes:
        return
    odd = sorted(name for name in shapes.keys() | given.keys() if shapes.get(name) != given.get(name))[0]
    raise InputError(
        f"{path} was made from another network: {odd} has the shape {shapes.get(odd, 'none')} there and "
        f"{given.get(odd, 'none')} in the {type(model).__name__} given; build it as for compress"
    )


def _check_tensors(
    path: str | Path, arrays: dict[str, np.ndarray], plan: CompressionPlan, shapes: dict[str, list[int]]
) -> None:
    """Hold each tensor's shape against what the plan makes of the dense network's."""
    expected = {name: list(shape) for name, shape in shapes.items()}
    expected.update({f"{name}.bias": shapes.get(f"{name}.weight", [])[:1] for name in plan.added_biases})
    for width in plan.widths:
        inner = _inner(width)
        known = all(f"{layer}.weight" in shapes for layer in (*inner.producers, *inner.consumers))
        sized = width.head_dim is None or isinstance(width.head_dim, int)
        if not known or not sized or not 0 < len(width.kept) <= width.channels:
            raise InputError(f"{path} is damaged: its plan for {width.producer} and {width.consumer} cannot be")
        for layer in inner.consumers:
            expected[f"{layer}.weight"][1] = len(inner.inputs(range(len(width.kept))))
        for layer in (*inner.producers, *width.coupled):
            for name in ("weight", "bias", "running_mean", "running_var"):
                if f"{layer}.{name}" in expected:
                    expected[f"{layer}.{name}"][0] = len(inner.outputs(range(len(width.kept))))
    if set(arrays) != set(expected):
        odd = sorted(set(expected).symmetric_difference(arrays))[0]
        raise InputError(f"{path} is damaged: its tensors do not match its plan, {odd} is missing or too many")
    for name, shape in expected.items():
        got = list(arrays[name].shape)
        # safetensors' numpy side turns scalars into vectors of length 1; a class subset cuts the classifier as well.
        cut = shape if plan.classes is None or not shape else [len(plan.classes), *shape[1:]]
        if got not in (shape, cut) and (shape or got != [1]):
            raise InputError(f"{path} is damaged: {name} has the shape {got}, and {shape} by its plan")


def _place(modules: dict[str, Any], name: str, array: np.ndarray) -> None:
    owner, _, attribute = name.rpartition(".")
    old = getattr(modules[owner], attribute)
    # safetensors' numpy side turns scalars into vectors of length 1.
    tensor = torch.from_numpy(array.copy()).to(old.device, old.dtype)
    if old.ndim == 0:
        tensor = tensor.reshape(())
    if isinstance(old, nn.Parameter):
        tensor = nn.Parameter(tensor, requires_grad=old.requires_grad)
    setattr(modules[owner], attribute, tensor)
