"""Neural collapse, put to work: new classes from a few images, unknown images told, networks pruned; no training."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ncapps.collapse import CollapseReport as CollapseReport
    from ncapps.collapse import measure_collapse as measure_collapse
    from ncapps.compression import Compressed as Compressed
    from ncapps.compression import compress as compress
    from ncapps.compression import quantize as quantize
    from ncapps.errors import InputError as InputError
    from ncapps.features import Backbone as Backbone
    from ncapps.features import FeatureExtractor as FeatureExtractor
    from ncapps.features import Features as Features
    from ncapps.features import FeatureStore as FeatureStore
    from ncapps.features import open_images as open_images
    from ncapps.fewshot import PrototypeClassifier as PrototypeClassifier
    from ncapps.ood import ETFDetector as ETFDetector
    from ncapps.recognizer import Recognizer as Recognizer
    from ncapps.simplex import SimplexETF as SimplexETF
    from ncapps.statistics import ClassStatistics as ClassStatistics
    from ncapps.training import TrainSettings as TrainSettings
    from ncapps.training import train as train
    from ncapps.transfer import BackboneRanking as BackboneRanking
    from ncapps.transfer import rank_backbones as rank_backbones

__version__ = "0.1.0"

_HOMES = {
    "Backbone": "features",
    "BackboneRanking": "transfer",
    "ClassStatistics": "statistics",
    "CollapseReport": "collapse",
    "Compressed": "compression",
    "ETFDetector": "ood",
    "FeatureExtractor": "features",
    "FeatureStore": "features",
    "Features": "features",
    "InputError": "errors",
    "PrototypeClassifier": "fewshot",
    "Recognizer": "recognizer",
    "SimplexETF": "simplex",
    "TrainSettings": "training",
    "compress": "compression",
    "measure_collapse": "collapse",
    "open_images": "features",
    "quantize": "compression",
    "rank_backbones": "transfer",
    "train": "training",
}
__all__ = ["__version__", *sorted(_HOMES)]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    # Names are looked up when first used: `import ncapps` alone loads neither torch nor faiss.
    if name in _HOMES:
        return getattr(importlib.import_module(f"ncapps.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ncapps' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
