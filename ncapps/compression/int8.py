"""ONNX Runtime's 8-bit quantization of an ONNX network: measured once, then built for any choice of layers."""

from __future__ import annotations

import math
import platform
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ncapps.compression.calibration import Calibration
from ncapps.compression.onnx_model import INPUT, load_onnx
from ncapps.errors import InputError

STATIC_OPERATORS = (
    "Conv", "Gemm", "MatMul", "Add", "Mul", "Relu", "Clip", "LeakyRelu", "Sigmoid", "MaxPool", "AveragePool",
    "GlobalAveragePool", "Concat", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Pad", "Split", "Slice",
)  # fmt: skip
"""What becomes integer in a convolutional network. Norms and softmax stay in float32: they lose most and cost least."""
_LAYERS = {"static": ("Conv", "Gemm", "MatMul"), "dynamic": ("Gemm", "MatMul")}


class Int8Builder:
    """Builds 8-bit versions of one ONNX network, with any of its layers left in float32.

    Parameters
    ----------
    data : bytes
        The float32 network.
    method : {"auto", "static", "dynamic"}
        "static": activations get fixed ranges, read off the calibration images, and weights and activations alike are
        integers (unsigned activations, signed weights with a scale for each output channel); for convolutions.
        "dynamic": the activations of each call set their own range, so that an image's outputs depend a little on the
        others of its batch; products with constant matrices are integers; for transformers.
        "auto": the first where convolutions do at least half of the work.
    calibration : Calibration
        The images that fix the ranges.
    reduce_range : bool
        Weights of 7 bits, for processors whose 8-bit products overflow.
    folder : Path
        A folder for files between the steps; the caller removes it.

    Attributes
    ----------
    method : {"static", "dynamic"}
        What "auto" became.
    layers : tuple of str
        Names of the nodes that can be quantized, in order; `export_onnx` names them as in PyTorch.
    """

    def __init__(self, data: bytes, method: str, calibration: Calibration, *, reduce_range: bool, folder: Path) -> None:
        onnx, _ = load_onnx()
        from onnxruntime.quantization.shape_inference import quant_pre_process

        self._reduce_range, self._folder = reduce_range, folder
        self._source = folder / "float32.onnx"
        # Handed over as a file: a network in memory is spilled to files that the step itself then fails to find.
        (folder / "exported.onnx").write_bytes(data)
        quant_pre_process(folder / "exported.onnx", self._source, skip_symbolic_shape=True)
        proto = onnx.load(self._source)
        self.method = choose_method(proto) if method == "auto" else method
        self.layers = _weight_layers(proto, _LAYERS[self.method])
        if not self.layers:
            raise InputError("the network has no convolution or linear layer whose weights could be quantized")
        self._calibration: Calibration | None = calibration

    def build(self, in_float32: Collection[str] = ()) -> bytes:
        """Return the 8-bit network; the layers of these nodes stay in float32."""
        target = self._folder / "int8.onnx"
        if self.method == "static":
            self._build_static(list(in_float32), target)
        else:
            self._build_dynamic(list(in_float32), target)
        return target.read_bytes()

    def _build_static(self, in_float32: list[str], target: Path) -> None:
        from onnxruntime.quantization import QuantType, quantize_static

        # The ranges are read once: later calls find them in the cache, and never come back for images.
        quantize_static(
            self._source,
            target,
            None if self._calibration is None else _reader(self._calibration),
            op_types_to_quantize=list(STATIC_OPERATORS),
            per_channel=True,
            reduce_range=self._reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=in_float32,
            extra_options={"MatMulConstBOnly": True},
            calibration_cache_path=self._folder / "ranges.json",
        )
        self._calibration = None

    def _build_dynamic(self, in_float32: list[str], target: Path) -> None:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            self._source,
            target,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=self._reduce_range,
            weight_type=QuantType.QInt8,
            # A Gemm is rewritten as a MatMul of this name before the list is looked at.
            nodes_to_exclude=[*in_float32, *(f"{name}_MatMul" for name in in_float32)],
            extra_options={"MatMulConstBOnly": True},
        )


def overflows_in_8_bits() -> bool:
    """Tell whether this processor's 8-bit products may overflow, so that weights should have 7 bits.

    They do on x86 without VNNI (onnxruntime issues 6545 and 12072). A processor that cannot be asked counts as such.
    """
    if platform.machine().lower() not in ("x86_64", "amd64", "i686", "x86"):
        return False
    info = Path("/proc/cpuinfo")
    flags = info.read_text(encoding="utf-8", errors="replace") if info.is_file() else ""
    return not any(flag in flags for flag in ("avx512_vnni", "avx_vnni", "amx_int8"))


def choose_method(proto: Any) -> str:
    """Return "static" if convolutions do at least half of the multiply-accumulates of an ONNX network's layers."""
    sizes: dict[str, list[int]] = {tensor.name: list(tensor.dims) for tensor in proto.graph.initializer}
    written: dict[str, int] = {
        value.name: math.prod(size.dim_value or 1 for size in value.type.tensor_type.shape.dim[1:])
        for value in (*proto.graph.value_info, *proto.graph.output)
    }
    macs = {"Conv": 0.0, "MatMul": 0.0, "Gemm": 0.0}
    for node in proto.graph.node:
        if node.op_type in macs and len(node.input) > 1 and node.input[1] in sizes:
            size = sizes[node.input[1]]
            # A kernel is (outputs, inputs, height, width), a matrix (inputs, outputs), a Gemm's may be the other way.
            outputs = size[-1] if node.op_type == "MatMul" else size[0]
            macs[node.op_type] += math.prod(size) * written.get(node.output[0], outputs) / outputs
    return "static" if 2 * macs["Conv"] >= sum(macs.values()) else "dynamic"


def _weight_layers(proto: Any, operators: Collection[str]) -> tuple[str, ...]:
    """Return the names of the nodes whose second input is a constant, in order."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    return tuple(
        node.name
        for node in proto.graph.node
        if node.op_type in operators and len(node.input) > 1 and node.input[1] in constants
    )


def _reader(calibration: Calibration) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._batches: Iterator[Any] = iter(calibration.images.split(calibration.batch_size))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch.numpy()}

    return Reader()
