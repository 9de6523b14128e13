"""What a backbone costs to run: milliseconds an image, and megabytes of weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ncapps.features import Backbone, FeatureExtractor
from ncapps.features.runtime import Runtime

_BATCH = {"cpu": 8}
_LARGE_BATCH = 64
_REPEATS = 7


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one backbone needs on this machine.

    Parameters
    ----------
    milliseconds : float
        An image through the network, in batches, pixels to features; reading and decoding are not counted.
    megabytes : float
        Weights and buffers in float32 without the classifier, 10^6 bytes.
    """

    milliseconds: float
    megabytes: float


def measure_cost(extractor: FeatureExtractor) -> Cost:
    """Time a backbone on black images, on the extractor's device and in its precision.

    The least of seven batches is told: whatever else the machine does only adds time.
    """
    runtime = Runtime(extractor.backbone, extractor.device, extractor.precision, extractor.batch_size)
    preprocessing = extractor.backbone.preprocessing
    batch = min(extractor.batch_size, _BATCH.get(extractor.device.type, _LARGE_BATCH))
    pixels = torch.zeros((batch, *preprocessing.size, len(preprocessing.mean)), dtype=torch.uint8)
    seconds = min(runtime.seconds_for(pixels, 1) for _ in range(_REPEATS))
    return Cost(milliseconds=1000 * seconds, megabytes=weight_bytes(extractor.backbone) / 1e6)


def weight_bytes(backbone: Backbone) -> int:
    """Return the bytes of a backbone's weights and buffers in float32, its classifier's not counted.

    Examples
    --------
    >>> weight_bytes(Backbone("cifar_resnet20", pretrained=False)) // 1000
    1081
    """
    modules = () if backbone.head is None else backbone.head.modules
    head = {id(tensor) for module in modules for tensor in (*module.parameters(), *module.buffers())}
    model = backbone.model
    return 4 * sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()) if id(tensor) not in head)
