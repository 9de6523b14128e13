"""Images in, features out: the one pass that every application starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

import ncapps
from ncapps.errors import InputError
from ncapps.features.backbone import Backbone
from ncapps.features.head import Head
from ncapps.features.images import open_images
from ncapps.features.passes import Pass, choose_batch_size
from ncapps.features.precision import Precision, choose_device, choose_precision
from ncapps.features.preprocessing import Preprocessing
from ncapps.features.records import Features
from ncapps.features.runtime import Runtime
from ncapps.features.source import ImageSource
from ncapps.features.store import FeatureStore


class FeatureExtractor:
    """Pooled features, logits and head of any timm network or module, from any source of images.

    Parameters
    ----------
    backbone : str, nn.Module or Backbone
        A timm name ("resnet18.a1_in1k"), a module with a linear head, or a ready `Backbone`.
    checkpoint, head, preprocessing, pretrained, download, model_kwargs, num_classes, small_stem
        Handed to `Backbone`.
    device : str or torch.device
        "auto": CUDA, then Apple's MPS, then the CPU.
    precision : str
        "auto": the network computes in bfloat16 where the hardware is fast at it, else in float32. Say "float32" to
        measure collapse. Features are pooled in that precision and leave as float32 in any case.
    batch_size : int or "auto"
        Images a forward pass; halved for good where memory runs out. Of no effect on the result but for rounding.
    workers : int or "auto"
        Processes that decode images.
    compile : bool or "auto"
        Compile the network with its weights frozen; "auto": where the job is long enough to pay for it. Without a C++
        compiler it runs uncompiled. On a CPU in bfloat16, compiled code runs as one replica a thread.
    progress : bool
        Show a bar on a terminal.

    Examples
    --------
    >>> extractor = FeatureExtractor("cifar_resnet20", pretrained=False, precision="float32")
    >>> import numpy as np
    >>> extractor.extract(np.zeros((3, 32, 32, 3), np.uint8)).values.shape
    (3, 64)
    """

    def __init__(
        self,
        backbone: str | nn.Module | Backbone,
        *,
        checkpoint: str | Path | None = None,
        head: str | None = None,
        preprocessing: Preprocessing | Mapping[str, Any] | None = None,
        pretrained: bool | str = "auto",
        download: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        num_classes: int | None = None,
        small_stem: bool = False,
        device: str | torch.device = "auto",
        precision: str = "auto",
        batch_size: int | str = "auto",
        workers: int | str = "auto",
        compile: bool | str = "auto",  # noqa: A002
        progress: bool = True,
    ) -> None:
        self.backbone = (
            backbone
            if isinstance(backbone, Backbone)
            else Backbone(
                backbone,
                checkpoint=checkpoint,
                head=head,
                preprocessing=preprocessing,
                pretrained=pretrained,
                download=download,
                model_kwargs=model_kwargs,
                num_classes=num_classes,
                small_stem=small_stem,
            )
        )
        self.device = choose_device(device)
        self.precision: Precision = choose_precision(precision, self.device)
        self.batch_size = choose_batch_size(batch_size, self.device, self.backbone.preprocessing.size)
        self.workers = workers
        if compile not in (True, False, "auto"):
            raise InputError(f"compile must be True, False or 'auto', but {compile!r} came")
        self.compile = compile
        self.progress = progress
        self._runtime: Runtime | None = None
        self._state: tuple[Any, ...] = ()

    @property
    def head(self) -> Head | None:
        """The backbone's classifier."""
        return self.backbone.head

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the head's classes, where the checkpoint tells them."""
        return self.backbone.classes

    def extract(
        self,
        data: Any,
        labels: Any = None,
        *,
        split: str | None = None,
        root: str | Path | None = None,
        store: str | Path | FeatureStore | None = None,
        worker: int = 0,
        of_workers: int = 1,
    ) -> Features:
        """Return the features of all images that can be read; the others stand in `.skipped`.

        Parameters
        ----------
        data, labels, split, root
            As `open_images` takes them: a folder, a zip, a list, an array, a data set's name, or an `ImageSource`.
        store : path or FeatureStore, optional
            Keep the features there, and compute only the shards that are not there yet.
        worker, of_workers : int
            With a store: do this worker's share of the shards (worker, worker + of_workers, ...), and return it.

        Raises
        ------
        InputError
            If the data cannot be opened, no image can be read, or the store holds other features.
        """
        source = open_images(data, labels, split=split, root=root)
        if store is None:
            if of_workers != 1 or worker != 0:
                raise InputError("worker numbers share out the shards of a store; name it with store=FOLDER")
            with self._pass(source, len(source)) as run:
                features = run.part(range(len(source)))
        else:
            store = store if isinstance(store, FeatureStore) else FeatureStore(store)
            store.begin(self.identity(source), source, alone=of_workers == 1)
            missing = store.missing(worker, of_workers)
            with self._pass(source, sum(len(store.positions(shard)) for shard in missing)) as run:
                for shard in missing:
                    store.write(shard, run.part(store.positions(shard)))
            features = store.read(worker, of_workers)
        if len(source) and not len(features) and features.skipped:
            first = features.skipped[0]
            raise InputError(f"none of the {len(features.skipped)} images could be read; {first.key}: {first.reason}")
        return features

    def identity(self, source: ImageSource) -> dict[str, Any]:
        """Return all that the features of a source depend on; a `FeatureStore` keeps features of one identity."""
        return {
            "model": self.backbone.tag,
            "weights": self.backbone.weights_hash,
            "preprocessing": asdict(self.backbone.preprocessing),
            "precision": self.precision,
            "images": source.fingerprint(),
            "ncapps": ncapps.__version__,
        }

    def _pass(self, source: ImageSource, images: int) -> Pass:
        return Pass(
            source,
            self._ready(),
            self.backbone,
            images=images,
            batch_size=self.batch_size,
            workers=self.workers,
            compile=self.compile,
            progress=self.progress,
        )

    def _ready(self) -> Runtime:
        """Return the network ready to run; made anew when the backbone's weights have changed."""
        state = (self.backbone.preprocessing, *_fingerprint(self.backbone.model))
        if self._runtime is not None:
            self.batch_size = min(self.batch_size, self._runtime.batch_size)
        if self._runtime is None or self._state != state:
            self._runtime = Runtime(self.backbone, self.device, self.precision, self.batch_size)
            self._state = state
        return self._runtime


@torch.no_grad()
def _fingerprint(model: nn.Module) -> list[float]:
    """Return one number a tensor: cheap enough for each call, and it moves when the weights do."""
    norms = [torch.linalg.vector_norm(v.float()) for v in model.state_dict().values() if v.is_floating_point()]
    return torch.stack(norms).tolist() if norms else []
