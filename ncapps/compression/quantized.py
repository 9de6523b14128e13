"""What quantization returns: a callable on an ONNX network, a report, and one file that holds both."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ncapps.compression.drop import Drop
from ncapps.compression.onnx_model import OnnxModel
from ncapps.errors import InputError

_KIND, _VERSION = "quantized", 1


@dataclass(frozen=True, kw_only=True)
class QuantizationReport:
    """What quantization did and what it cost.

    Attributes
    ----------
    kind : {"int8", "float32"}
        What the network is now.
    reason : str
        Why it stayed in float32; empty if it did not.
    method : {"static", "dynamic"}
        Whether activations have fixed ranges or each call its own.
    layers, layers_in_float32 : tuple of str
        All layers that could be quantized, and those that stay as they were.
    images : int
        Calibration images used.
    reduce_range : bool
        Whether weights have 7 bits.
    drop : Drop
        What the network loses against float32 on held-out images; where layers stay in float32, these were chosen on
        the same images.
    bytes_before, bytes_after : int
        Size of the ONNX network, without this report.
    latency_ms : dict
        (p50, p95) of "float32" and "int8" in milliseconds, measured turn by turn; empty if 8 bits failed the gate.
    speed_up : float or None
        How many times as fast 8 bits were.
    latency_batch, threads : int
        Images in a call and threads, when that was measured.
    seconds : float
        Wall-clock time.
    """

    kind: str
    reason: str
    method: str
    layers: tuple[str, ...]
    layers_in_float32: tuple[str, ...]
    images: int
    reduce_range: bool
    drop: Drop
    bytes_before: int
    bytes_after: int
    latency_ms: dict[str, tuple[float, float]]
    speed_up: float | None
    latency_batch: int
    threads: int
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantized:
    """A quantized network: call it with images, as the network that it was made from.

    Attributes
    ----------
    model : OnnxModel
        The ONNX network.
    report : QuantizationReport
        What was done to it.
    """

    model: OnnxModel
    report: QuantizationReport

    def __call__(self, images: Any) -> Any:
        """Return the network's outputs in float32, in the images' own kind of array.

        Raises
        ------
        InputError
            If the images have another shape than the network takes, apart from their number.
        """
        return self.model(images)

    def save(self, path: str | Path) -> None:
        """Write one ONNX file with the report inside; any ONNX runtime runs it, `load_quantized` reads all of it back.

        Raises
        ------
        InputError
            If the path is a folder or cannot be written.
        """
        header = {"kind": _KIND, "version": _VERSION, "report": asdict(self.report)}
        self.model.with_header(header).save(path)


def load_quantized(path: str | Path, *, threads: int | None = None) -> Quantized:
    """Read what `Quantized.save` wrote; its outputs are those of the saved network.

    Parameters
    ----------
    threads : int, optional
        Threads of a call; torch's own number where left out.

    Raises
    ------
    InputError
        If the file is missing, damaged or not such a file, or the extra [onnx] is not installed.

    Examples
    --------
    >>> import pathlib, tempfile, timm, torch
    >>> from ncapps.compression import load_quantized, quantize
    >>> model = timm.create_model("resnet18", channels=(8, 16, 32, 64))
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "fast.onnx"
    >>> quantize(model, torch.randn(16, 3, 32, 32), keep="always", max_drop=None).save(file)
    >>> load_quantized(file).report.kind
    'int8'
    """
    model = OnnxModel.load(path, threads=threads)
    header = model.header
    if header.get("kind") != _KIND:
        raise InputError(f"{path} is an ONNX network, but not one that quantize saved; use OnnxModel.load")
    if header["version"] > _VERSION:
        raise InputError(f"{path} was written in version {header['version']}, this ncapps reads {_VERSION}; upgrade it")
    try:
        return Quantized(model=model, report=_report(header["report"]))
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: its report lacks or misnames a field ({error})") from None


def _report(found: dict[str, Any]) -> QuantizationReport:
    names = ("layers", "layers_in_float32")
    return QuantizationReport(
        **{
            **found,
            **{name: tuple(found[name]) for name in names},
            "drop": Drop(**found["drop"]),
            "latency_ms": {name: (p50, p95) for name, (p50, p95) in found["latency_ms"].items()},
        }
    )
