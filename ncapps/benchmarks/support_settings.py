"""Settings of the support matrix: which architectures, and how they are tried."""

from __future__ import annotations

from dataclasses import dataclass

from ncapps.compression.gate import TOLERANCE
from ncapps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SupportSettings:
    """The architectures, and how they are tried.

    Parameters
    ----------
    output : str
        The JSON file for the rows.
    architectures : tuple of str
        timm names.
    image_size : int
        Side in pixels, for the models that take it; the others keep their own.
    images : int
        Random images that the network is cut with.
    time_limit : float
        Seconds for one architecture, the start of its process counted.
    trace_limit : float
        Seconds for tracing it.
    least_effect : float
        The least relative change of the network's output by the cut: with less, passing the gate would say nothing.
    seed : int
        Of weights, gains, statistics and images.
    """

    output: str
    architectures: tuple[str, ...]
    image_size: int = 64
    images: int = 4
    time_limit: float = 240.0
    trace_limit: float = 60.0
    least_effect: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.architectures or len(set(self.architectures)) != len(self.architectures):
            raise InputError(f"architectures must name one or more, each once, but {self.architectures} came")
        if self.images < 3 or self.least_effect < 10 * TOLERANCE:
            raise InputError(
                f"images must be 3 or more and least_effect {10 * TOLERANCE:g} or more, but {self.images} and "
                f"{self.least_effect:g} came"
            )
