"""An ONNX network as a callable: ONNX Runtime's session, its bytes, and a JSON header inside the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ncapps import persist
from ncapps.arrays import like, to_numpy
from ncapps.errors import InputError

INPUT, OUTPUT = "images", "outputs"
_HEADER_KEY = "ncapps"


class OnnxModel:
    """A network in ONNX that is called like the one it was made from.

    Parameters
    ----------
    data : bytes
        The ONNX file's content.
    threads : int, optional
        Threads of one call; torch's own number where left out.

    Raises
    ------
    InputError
        If the packages of the extra [onnx] are missing, or the bytes are no network that ONNX Runtime can run.

    Examples
    --------
    >>> import torch
    >>> from ncapps.compression import export_onnx
    >>> model = export_onnx(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3)), torch.zeros(4, 3, 2, 2))
    >>> model(torch.zeros(5, 3, 2, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(self, data: bytes, *, threads: int | None = None) -> None:
        self.data = data
        self.threads = torch.get_num_threads() if threads is None else threads
        self._session = _session(data, self.threads)

    def __call__(self, images: Any) -> Any:
        """Return the network's outputs (images, ...) in float32, in the images' own kind of array.

        Raises
        ------
        InputError
            If the images have another shape than the network was exported with, apart from their number.
        """
        batch = np.ascontiguousarray(to_numpy(images), dtype=np.float32)
        wanted = self._session.get_inputs()[0].shape[1:]
        if list(batch.shape[1:]) != wanted or len(batch) == 0:
            raise InputError(
                f"this network takes images of shape (any number, {', '.join(map(str, wanted))}), but "
                f"{batch.shape} came; were they preprocessed for it?"
            )
        return like(self._session.run([OUTPUT], {INPUT: batch})[0], images)

    @property
    def header(self) -> dict[str, Any]:
        """What the file says of itself beside the network; empty for a plain export."""
        found = self._session.get_modelmeta().custom_metadata_map.get(_HEADER_KEY, "{}")
        return json.loads(found)

    def with_header(self, header: dict[str, Any]) -> OnnxModel:
        """Return the same network with another header."""
        onnx, _ = load_onnx()
        proto = onnx.load_from_string(self.data)
        del proto.metadata_props[:]
        proto.metadata_props.add(key=_HEADER_KEY, value=json.dumps(header, sort_keys=True))
        return OnnxModel(proto.SerializeToString(), threads=self.threads)

    def save(self, path: str | Path) -> None:
        """Write the ONNX file, atomically; any ONNX runtime reads it.

        Raises
        ------
        InputError
            If the path is a folder or cannot be written.
        """
        persist.write_atomically(path, lambda temporary: temporary.write_bytes(self.data))

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> OnnxModel:
        """Read an ONNX file.

        Raises
        ------
        InputError
            If the file is missing or damaged, or the extra [onnx] is.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path} does not exist; is the path right?")
        try:
            return cls(path.read_bytes(), threads=threads)
        except _UnusableError as error:
            raise InputError(f"{path} is damaged or no ONNX network ({error}); was it copied in full?") from None


class _UnusableError(InputError):
    """ONNX Runtime refuses the bytes."""


def load_onnx() -> tuple[Any, Any]:
    """Return the modules onnx and onnxruntime.

    Raises
    ------
    InputError
        If the extra [onnx] is not installed.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as error:
        raise InputError(
            f"ONNX export and int8 need the package {error.name}, which is not installed; "
            "run: pip install 'ncapps[onnx]'"
        ) from None
    return onnx, onnxruntime


def _session(data: bytes, threads: int) -> Any:
    _, runtime = load_onnx()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # The runtime's own exceptions share no base class but this one.
        raise _UnusableError(" ".join(str(error).split())[:200]) from None
    names = [one.name for one in (*session.get_inputs(), *session.get_outputs())]
    if names != [INPUT, OUTPUT]:
        raise _UnusableError(f"it has the ends {', '.join(names)}, not {INPUT} and {OUTPUT}")
    return session
