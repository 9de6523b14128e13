"""One training run: its data, network, head and optimiser, and the epochs that move them."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ncapps.errors import InputError
from ncapps.features.backbone import Backbone
from ncapps.features.build import BackboneSpec
from ncapps.training.augment import augment
from ncapps.training.checkpoint import load_checkpoint, save_checkpoint
from ncapps.training.dataset import Dataset, read_dataset
from ncapps.training.heads import make_head
from ncapps.training.losses import training_loss
from ncapps.training.meter import EpochRecord, evaluate, measure
from ncapps.training.optimizer import make_optimizer, set_learning_rate
from ncapps.training.precision import autocast
from ncapps.training.result import TrainResult
from ncapps.training.schedule import augmentation_of, batches, epoch_seed, learning_rate_at
from ncapps.training.settings import TrainSettings
from ncapps.training.turned import TURNS, keep_rows, with_turned


class Run:
    """The state of one training run; all randomness of an epoch follows from the seed and the epoch's number."""

    def __init__(
        self,
        settings: TrainSettings,
        device: torch.device,
        images: Any,
        labels: Any,
        val_images: Any,
        val_labels: Any,
        progress: bool,
    ) -> None:
        self.settings, self.device = settings, device
        # The pixels' size is the model's to say, and the number of classes, which the model needs, is the images'.
        size = Backbone(_spec(settings, classes=None)).preprocessing
        self.data = read_dataset(images, labels, size, progress=progress)
        if len(self.data.classes) < 2:
            raise InputError(f"training needs two classes or more, but all images are of {list(self.data.classes)}")
        self.validation: Dataset | None = None
        if val_images is not None:
            self.validation = read_dataset(val_images, val_labels, size, classes=self.data.classes, progress=progress)
        torch.manual_seed(settings.seed)
        self.classes = len(self.data.classes)
        self.spec = _spec(settings, self.classes)
        self.backbone = Backbone(
            dataclasses.replace(
                self.spec,
                num_classes=self.classes * (TURNS if settings.turned_fraction else 1),
                pretrained=settings.pretrained,
                download=settings.pretrained,
            )
        )
        self.backbone.spec = self.spec
        self.backbone.classes = self.data.classes  # type: ignore[assignment]
        linear = _linear_head(self.backbone)
        self.backbone.model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = make_head(linear, settings.head, settings.feature_scale, settings.seed).to(device)
        self.optimizer = make_optimizer(self.backbone.model, settings)
        self.data = self.data.to(device)
        self.measured = self.data.subset(settings.measure_images, settings.seed)
        self.steps = max(1, len(self.data) // settings.batch_size)
        self.history: list[EpochRecord] = []

    def resume(self, checkpoint: str | Path) -> None:
        """Go on from a checkpoint file of this very run."""
        state = (self.backbone.model, self.head, self.optimizer)
        self.history = load_checkpoint(checkpoint, *state, self.settings, self.data.fingerprint(), EpochRecord)

    def fit(
        self, checkpoint: str | Path | None, on_epoch: Callable[[EpochRecord], object] | None, progress: bool
    ) -> None:
        """Run the epochs that are still to run."""
        done, total = len(self.history), self.settings.epochs
        with tqdm(
            total=total * self.steps,
            initial=done * self.steps,
            desc="training",
            unit="step",
            disable=None if progress else True,
        ) as bar:
            for epoch in range(done, total):
                bar.set_description(f"training, epoch {epoch + 1}/{total}")
                record = self._epoch(epoch, bar)
                self.history.append(record)
                bar.set_postfix(loss=f"{record.loss:.3f}", accuracy=f"{record.batch_accuracy:.3f}", refresh=False)
                if checkpoint is not None and ((epoch + 1) % self.settings.checkpoint_every == 0 or epoch + 1 == total):
                    state = (self.backbone.model, self.head, self.optimizer)
                    save_checkpoint(checkpoint, *state, self.history, self.settings, self.data.fingerprint())
                if on_epoch is not None:
                    on_epoch(record)

    def _epoch(self, epoch: int, bar: Any) -> EpochRecord:
        started = time.perf_counter()
        seed = epoch_seed(self.settings.seed, epoch)
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        kind = augmentation_of(epoch, self.settings)
        self.backbone.model.train()
        losses, right, seen, rate = torch.zeros((), device=self.device), torch.zeros((), device=self.device), 0, 0.0
        for step, positions in enumerate(batches(len(self.data), self.settings.batch_size, generator)):
            rate = learning_rate_at(epoch * self.steps + step, self.settings.epochs * self.steps, self.settings)
            set_learning_rate(self.optimizer, rate)
            loss, hits = self._step(positions, kind, generator)
            losses, right, seen = losses + loss, right + hits, seen + len(positions)
            bar.update()
        mean_loss = float(losses) / self.steps
        if not math.isfinite(mean_loss):
            raise InputError(
                f"the loss became {mean_loss} in epoch {epoch + 1}; lower learning_rate (it is "
                f"{self.settings.learning_rate}) or lengthen warmup"
            )
        measures: dict[str, float | None] = {}
        if (epoch + 1) % self.settings.measure_every == 0 or epoch + 1 == self.settings.epochs:
            measures = measure(self.backbone, self.head, self.data, self.measured, self.validation)
        return EpochRecord(
            epoch=epoch + 1,
            loss=mean_loss,
            batch_accuracy=float(right) / seen,
            learning_rate=rate,
            seconds=time.perf_counter() - started,
            **measures,  # type: ignore[arg-type]
        )

    def _step(self, positions: Tensor, kind: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        positions = positions.to(self.data.pixels.device)
        pixels = self.data.pixels[positions].to(self.device, non_blocking=True)
        targets = self.data.targets[positions].to(self.device, non_blocking=True)
        batch = augment(self.backbone.preprocessing.normalise(pixels), kind, generator)
        own, images = targets, len(targets)
        batch, targets = with_turned(batch, targets, self.classes, self.settings.turned_fraction, generator)
        with autocast(self.settings.precision, self.device):
            features, _ = self.backbone.forward(batch.contiguous(memory_format=torch.channels_last))
        features = features.float()
        self.head.observe(features, targets)
        logits = self.head(features)
        loss = training_loss(logits, targets, self.settings)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach(), (logits.detach()[:images, : self.classes].argmax(1) == own).sum()

    def result(self) -> TrainResult:
        """Make the head the model's own, and hand over what was learned."""
        if self.head.scale is not None:
            features, _ = evaluate(self.backbone, self.head, self.data, self.measured)
            self.head.settle(float(features.norm(dim=1).mean()))
        if self.head.linear.out_features > self.classes:
            keep_rows(self.head.linear, self.classes)
            self.backbone.model.num_classes = self.classes  # type: ignore[assignment]
        self.backbone.model.eval().requires_grad_(True)
        return TrainResult(
            model=self.backbone.model,
            backbone=self.backbone,
            history=tuple(self.history),
            classes=self.data.classes,
            settings=self.settings,
            spec=self.spec,
            skipped=self.data.skipped,
        )


def _spec(settings: TrainSettings, classes: int | None) -> BackboneSpec:
    return BackboneSpec(
        name=settings.backbone,
        num_classes=classes,
        small_stem=settings.small_stem,
        model_kwargs=dict(settings.model_kwargs),
        image_size=settings.image_size,
        crop_pct=1.0,
    )


def _linear_head(backbone: Backbone) -> nn.Linear:
    head = backbone.head
    if head is None or not head.affine or len(head.modules) != 1 or not isinstance(head.modules[0], nn.Linear):
        raise InputError(
            f"{backbone.tag} does not end in one linear layer over pooled features, which training to collapse needs; "
            "choose another backbone"
        )
    return head.modules[0]
