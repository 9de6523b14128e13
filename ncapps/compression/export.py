"""Write a network as ONNX or as a torch.export program, with any number of images, checked against PyTorch."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ncapps import persist
from ncapps.compression.calibration import gather
from ncapps.compression.onnx_model import INPUT, OUTPUT, OnnxModel, load_onnx
from ncapps.errors import InputError

TOLERANCE = 1e-4
"""The largest relative error (Euclidean norm) of the exported network's outputs that passes; about 1e-6 is usual."""
_CHECKED = 8


def export_onnx(
    model: nn.Module, images: Any, path: str | Path | None = None, *, threads: int | None = None
) -> OnnxModel:
    """Export a network to ONNX for any number of images, and check it against PyTorch on these images.

    The check runs at two batch sizes: one image, and all that came, up to 8. Batch norms are folded into the layers
    before them. The file holds the network alone: no source lines, no paths.

    Parameters
    ----------
    model : nn.Module
        The network, pruned or not; it is not changed. It runs in evaluation mode and float32.
    images : Tensor, ndarray or iterable
        Two images or more, preprocessed for the network: a float batch (images, channels, height, width), or an
        iterable of batches.
    path : str or Path, optional
        The file to write, atomically.
    threads : int, optional
        Threads of the returned callable.

    Returns
    -------
    OnnxModel
        The exported network, a callable with the same outputs as the model.

    Raises
    ------
    InputError
        If the extra [onnx] is missing, the network cannot be exported with a free number of images, it does not
        return one tensor, or the exported network's outputs differ.

    Examples
    --------
    >>> import timm, torch
    >>> from ncapps.compression import export_onnx
    >>> model = timm.create_model("resnet18", channels=(8, 16, 32, 64)).eval()
    >>> images = torch.randn(4, 3, 32, 32)
    >>> with torch.no_grad():
    ...     torch.allclose(export_onnx(model, images)(images), model(images), atol=1e-4)
    True
    """
    onnx, _ = load_onnx()
    network, batch = _prepare(model, images)
    with _quiet():
        program = _attempt(
            network,
            "ONNX",
            lambda: torch.onnx.export(
                network,
                _blank(batch),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=_any_number(),
            ),
        )
    exported = OnnxModel(_serialized(onnx, program.model_proto, network), threads=threads)
    _check(network, exported, batch, "ONNX")
    if path is not None:
        exported.save(path)
    return exported


def export_program(model: nn.Module, images: Any, path: str | Path) -> None:
    """Write a network as a torch.export program (.pt2) for any number of images; `torch.export.load` reads it.

    Checked against the model at two batch sizes, as in `export_onnx`; it needs no package but torch.

    Parameters
    ----------
    model, images
        As in `export_onnx`.
    path : str or Path
        The file to write, atomically.

    Raises
    ------
    InputError
        If the network cannot be exported with a free number of images, or the program's outputs differ.

    Examples
    --------
    >>> import pathlib, tempfile, torch
    >>> from ncapps.compression.export import export_program
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "net.pt2"
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
    >>> export_program(model, torch.zeros(4, 3, 2, 2), file)
    >>> torch.export.load(file).module()(torch.ones(5, 3, 2, 2)).shape
    torch.Size([5, 3])
    """
    network, batch = _prepare(model, images)
    with _quiet():
        program = _attempt(
            network, "torch.export", lambda: torch.export.export(network, _blank(batch), dynamic_shapes=_any_number())
        )
        _check(network, program.module(), batch, "torch.export")
        # The saver opens what it is given; a stream has no name whose ending it could object to.
        persist.write_atomically(path, lambda temporary: _save_program(program, temporary))


def _save_program(program: Any, path: Path) -> None:
    with path.open("wb") as file:
        torch.export.save(program, file)


def _prepare(model: nn.Module, images: Any) -> tuple[nn.Module, torch.Tensor]:
    batch = gather(images, None, limit=_CHECKED, batch_size=_CHECKED, seed=0).images
    if len(batch) < 2:
        raise InputError("export needs two images or more: with one alone the number of images would be fixed to it")
    try:
        network = copy.deepcopy(model).cpu().float().eval()
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"{type(model).__name__} cannot be copied ({str(error).splitlines()[0][:120]}); "
            "give a freshly built model that has not run yet"
        ) from None
    with torch.no_grad():
        output = network(batch)
    if not isinstance(output, torch.Tensor):
        raise InputError(f"{type(model).__name__} must return one tensor, but returns a {type(output).__name__}")
    return network, batch


def _blank(batch: torch.Tensor) -> tuple[torch.Tensor]:
    """Return what the network is traced with; a program's file keeps it, so that it must not be the user's images."""
    return (torch.zeros_like(batch[:2]),)


def _any_number() -> tuple[dict[int, Any]]:
    return ({0: torch.export.Dim("batch", min=1)},)


def _attempt(network: nn.Module, what: str, export: Callable[[], Any]) -> Any:
    try:
        with torch.no_grad():
            return export()
    except Exception as error:
        # The tracer raises whatever the network's own code raises.
        reason = " ".join((str(error.__cause__ or error).strip() or type(error).__name__).split())[:160]
        raise InputError(
            f"{type(network).__name__} cannot be exported by {what} with a free number of images ({reason})"
        ) from error


def _check(
    network: nn.Module, exported: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor, what: str
) -> None:
    for count in (1, len(batch)):
        expected, got = _attempt(network, what, lambda count=count: (network(batch[:count]), exported(batch[:count])))
        error = float((got - expected).norm() / expected.norm().clamp_min(1e-30))
        if got.shape != expected.shape or not error <= TOLERANCE:
            raise InputError(
                f"{what}'s version of {type(network).__name__} gives other outputs on {count} image(s) "
                f"(relative error {error:.1e}); it is not written"
            )


def _serialized(onnx: Any, proto: Any, network: nn.Module) -> bytes:
    """Return the network's bytes, its layers named as in PyTorch, without the exporter's notes on source lines."""
    layers = {name for name, _ in network.named_modules()}
    taken: set[str] = set()
    for node in proto.graph.node:
        name = _layer_of(node, layers)
        if node.op_type in ("Conv", "Gemm", "MatMul") and name and name not in taken:
            node.name = name
            taken.add(name)
        del node.metadata_props[:]
        node.doc_string = ""
    for part in (proto, proto.graph, *proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    for tensor in proto.graph.initializer:
        del tensor.metadata_props[:]
    try:
        return proto.SerializeToString()
    except ValueError as error:
        raise InputError(f"{type(network).__name__} is larger than one ONNX file can be, 2 GB ({error})") from None


def _layer_of(node: Any, layers: set[str]) -> str | None:
    """Return the PyTorch layer that an exported node computes, by its weight's name or the exporter's note."""
    for name in node.input:
        if name.endswith(".weight") and name.removesuffix(".weight") in layers:
            return name.removesuffix(".weight")
    notes = {note.key: note.value for note in node.metadata_props}
    scopes = notes.get("pkg.torch.onnx.name_scopes", "").strip("[]").replace("'", "").split(", ")
    inside = [scope for scope in scopes if scope in layers]
    return inside[-1] if inside else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' deprecation warnings, which are not the caller's, to ourselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
