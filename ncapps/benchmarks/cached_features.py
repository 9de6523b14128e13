"""Features for a benchmark: extracted once by a network of a settings file, then read from a cache."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from ncapps.errors import InputError
from ncapps.features import Backbone, BackboneSpec, FeatureExtractor, Features, ImageSource, open_images
from ncapps.features.checkpoint import find_checkpoint


def benchmark_extractor(spec: BackboneSpec, data: str) -> FeatureExtractor:
    """Return the extractor of a network whose checkpoint, if it has one, is a file below `data`; float32."""
    if spec.checkpoint is not None:
        spec = replace(spec, checkpoint=str(find_checkpoint(Path(data) / spec.checkpoint, spec.name)))
    # Compiled code rounds otherwise, and only long jobs are compiled: features shall not depend on that.
    return FeatureExtractor(Backbone(spec), precision="float32", compile=False, progress=False)


def open_named(data: str, images: str) -> ImageSource:
    """Return a zip or folder of class folders below `data`.

    Raises
    ------
    InputError
        If it is not there, or its images have no class names.
    """
    source = open_images(Path(data) / images)
    if source.labels is None:
        raise InputError(f"{images} has no class names; expected one sub-folder a class")
    return source


def extract_cached(extractor: FeatureExtractor, source: ImageSource, cache: str) -> tuple[Features, str]:
    """Return the features of all images and the images' fingerprint; kept below `cache`, under what they depend on."""
    identity = extractor.identity(source)
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    store = Path(cache) / f"{extractor.backbone.tag}-{digest[:16]}"
    return extractor.extract(source, store=store), identity["images"]
