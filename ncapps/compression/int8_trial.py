"""Try an 8-bit network on held-out images, and find the layers that have to stay in float32."""

from __future__ import annotations

import numpy as np

from ncapps.compression.calibration import Calibration
from ncapps.compression.drop import Drop, measure_drop
from ncapps.compression.fallback import fewest_in_float32
from ncapps.compression.int8 import Int8Builder
from ncapps.compression.onnx_model import OnnxModel

_SENSITIVITY_IMAGES = 32


class Int8Trial:
    """One float32 network, its 8-bit builder, and the images to compare them on.

    Parameters
    ----------
    float32 : OnnxModel
        The network that the drop is counted from.
    builder : Int8Builder
        Builds its 8-bit versions.
    held : Calibration
        Images that the ranges were not read off; their labels, if any, are output indices.
    """

    def __init__(self, float32: OnnxModel, builder: Int8Builder, held: Calibration) -> None:
        self._float32, self._builder, self._held = float32, builder, held
        self._expected = _outputs(float32, held)
        self._networks: dict[tuple[str, ...], OnnxModel] = {}

    def network(self, in_float32: tuple[str, ...] = ()) -> OnnxModel:
        """Return the 8-bit network with these layers left in float32."""
        if in_float32 not in self._networks:
            # Only the last one is kept: networks are large.
            built = OnnxModel(self._builder.build(in_float32), threads=self._float32.threads)
            self._networks = {in_float32: built}
        return self._networks[in_float32]

    def drop(self, network: OnnxModel) -> Drop:
        """Return what a network loses against the float32 one on the held-out images."""
        return measure_drop(self._expected, _outputs(network, self._held), self._held.labels)

    def search(self, max_drop: float, *, sure: bool = False) -> tuple[str, ...] | None:
        """Return the layers that stay in float32 so that the drop is within bounds; None if no 8-bit layer passes."""

        def passes(in_float32: tuple[str, ...]) -> bool:
            return self.drop(self.network(in_float32)).within(max_drop, sure=sure)

        if passes(()):
            return ()
        found = fewest_in_float32(self.errors(), passes)
        return None if found is None or len(found) == len(self._builder.layers) else found

    def errors(self) -> dict[str, float]:
        """Return, by layer, the mean squared error of the outputs when that layer alone is in 8 bits."""
        few = self._held.images[:_SENSITIVITY_IMAGES].numpy()
        expected, layers = self._expected[: len(few)], self._builder.layers
        found = {}
        for layer in layers:
            others = tuple(name for name in layers if name != layer)
            found[layer] = float(np.square(self.network(others)(few).reshape(len(few), -1) - expected).mean())
        return found


def _outputs(network: OnnxModel, held: Calibration) -> np.ndarray:
    batches = (batch.numpy() for batch in held.images.split(held.batch_size))
    return np.concatenate([network(batch).reshape(len(batch), -1) for batch in batches])
