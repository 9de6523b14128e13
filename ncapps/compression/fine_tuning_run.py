"""One fine-tuning run: teacher, student and optimiser, and the epochs that move the student."""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from ncapps.arrays import to_numpy
from ncapps.compression.calibration import Calibration
from ncapps.compression.distillation import feature_loss, inputs_of, logits_loss
from ncapps.compression.drop import measure_drop
from ncapps.compression.fine_tuning_settings import FineTuneSettings
from ncapps.errors import InputError
from ncapps.training.augment import augment
from ncapps.training.checkpoint import load_checkpoint, save_checkpoint
from ncapps.training.optimizer import make_optimizer, set_learning_rate
from ncapps.training.precision import autocast
from ncapps.training.schedule import batches, epoch_seed, learning_rate_at, stepped_rate_at

KIND = "fine-tuning checkpoint"


@dataclass(frozen=True, kw_only=True)
class FineTuneRecord:
    """One epoch of fine-tuning.

    Parameters
    ----------
    epoch : int
        The first is 1.
    loss : float
        Mean over the epoch's batches, weighted.
    logits_loss, feature_loss, label_loss : float
        Its three parts, without their weights; 0 for a part whose weight is 0.
    learning_rate : float
        Of the epoch's last step.
    drop : float or None
        Percentage points of accuracy lost against the dense network on the held-out images; of agreement, where they
        have no labels.
    seconds : float
        Spent on the epoch.
    """

    epoch: int
    loss: float
    logits_loss: float
    feature_loss: float
    label_loss: float
    learning_rate: float
    drop: float | None
    seconds: float


class FineTuneRun:
    """The state of one run; all randomness of an epoch follows from the seed and the epoch's number.

    Parameters
    ----------
    student, teacher : nn.Module
        In evaluation mode, and the run's own: the student is moved and trained in place, the teacher only moved.
    classifier : str or None
        Name of the layer whose input are the features; None where these are not compared.
    images : Calibration
        What is learned from.
    held : Calibration or None
        Images by which the epoch whose weights are kept is chosen.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        classifier: str | None,
        images: Calibration,
        held: Calibration | None,
        settings: FineTuneSettings,
        device: torch.device,
    ) -> None:
        self.settings, self.device, self.classifier = settings, device, classifier
        self.images, self.held = images, held
        self.labels = torch.from_numpy(images.codes).long() if images.codes is not None else None
        weights = [settings.logits_weight, settings.feature_weight, settings.label_weight]
        self.weights = torch.tensor(weights, device=device)
        self._data = _fingerprint((student, teacher), (images, held))
        moved = [one.to(device).to(memory_format=torch.channels_last) for one in (student, teacher)]  # type: ignore[call-overload]
        self.student, self.teacher = moved[0].requires_grad_(True), moved[1].requires_grad_(False)
        self.best = self.student if held is None else copy.deepcopy(self.student)
        # In one module, so that a checkpoint holds the best weights so far beside the newest.
        self._networks = nn.ModuleDict({"student": self.student} | ({} if held is None else {"best": self.best}))
        self.optimizer = make_optimizer(self.student, settings)
        self.steps = max(1, len(images) // settings.batch_size)
        self.history: list[FineTuneRecord] = []
        self._answers = None if held is None else held.outputs(self.teacher)
        self._first_drop = self._drop()

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are in `best`: the first that loses least, 0 = before the first; else the last."""
        if self._first_drop is None:
            return len(self.history)
        drops = [self._first_drop, *(record.drop for record in self.history if record.drop is not None)]
        return drops.index(min(drops))

    def resume(self, checkpoint: str | Path) -> None:
        """Go on from a checkpoint file of this very run."""
        state = (self._networks, nn.Module(), self.optimizer)
        self.history = load_checkpoint(checkpoint, *state, self.settings, self._data, FineTuneRecord, kind=KIND)

    def fit(
        self, checkpoint: str | Path | None, on_epoch: Callable[[FineTuneRecord], object] | None, progress: bool
    ) -> None:
        """Run the epochs that are still to run."""
        done, total = len(self.history), self.settings.epochs
        with tqdm(
            total=total * self.steps,
            initial=done * self.steps,
            desc="fine-tuning",
            unit="step",
            disable=None if progress else True,
        ) as bar:
            for epoch in range(done, total):
                bar.set_description(f"fine-tuning, epoch {epoch + 1}/{total}")
                record = self._epoch(epoch, bar)
                self.history.append(record)
                bar.set_postfix(loss=f"{record.loss:.4f}", refresh=False)
                if self.held is not None and self.best_epoch == record.epoch:
                    self.best.load_state_dict(self.student.state_dict())
                if checkpoint is not None and ((epoch + 1) % self.settings.checkpoint_every == 0 or epoch + 1 == total):
                    state = (self._networks, nn.Module(), self.optimizer)
                    save_checkpoint(checkpoint, *state, self.history, self.settings, self._data, kind=KIND)
                if on_epoch is not None:
                    on_epoch(record)
        self.optimizer.zero_grad(set_to_none=True)

    def _epoch(self, epoch: int, bar: Any) -> FineTuneRecord:
        started = time.perf_counter()
        seed = epoch_seed(self.settings.seed, epoch)
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        self._train_mode()
        parts, rate = torch.zeros(3, device=self.device), 0.0
        with ExitStack() as stack:
            read = [stack.enter_context(inputs_of(layer)) for layer in self._classifiers()]
            for step, positions in enumerate(batches(len(self.images), self.settings.batch_size, generator)):
                rate = self._rate(epoch * self.steps + step)
                set_learning_rate(self.optimizer, rate)
                parts += self._step(positions, generator, read)
                bar.update()
        self.student.eval()
        means = parts / self.steps
        loss = float((self.weights * means).sum())
        if not math.isfinite(loss):
            raise InputError(
                f"the loss became {loss} in epoch {epoch + 1}; lower learning_rate (it is "
                f"{self.settings.learning_rate}) or lengthen warmup"
            )
        on_logits, on_features, on_labels = means.tolist()
        return FineTuneRecord(
            epoch=epoch + 1,
            loss=loss,
            logits_loss=on_logits,
            feature_loss=on_features,
            label_loss=on_labels,
            learning_rate=rate,
            drop=self._drop(),
            seconds=time.perf_counter() - started,
        )

    def _step(self, positions: Tensor, generator: torch.Generator, read: list[list[Tensor]]) -> Tensor:
        images = self.images.images[positions].to(self.device)
        batch = augment(images, self.settings.augment, generator).contiguous(memory_format=torch.channels_last)
        with autocast(self.settings.precision, self.device):
            with torch.no_grad():
                wanted = self.teacher(batch).float()
            given = self.student(batch).float()
        parts = self._losses(given, wanted, read, positions)
        self.optimizer.zero_grad(set_to_none=True)
        (self.weights * parts).sum().backward()
        self.optimizer.step()
        return parts.detach()

    def _losses(self, given: Tensor, wanted: Tensor, read: list[list[Tensor]], positions: Tensor) -> Tensor:
        """Return the three parts of the loss; those without weight are 0."""
        settings = self.settings
        parts = [given.new_zeros(())] * 3
        if settings.logits_weight:
            parts[0] = logits_loss(given, wanted, settings.temperature)
        if settings.feature_weight:
            parts[1] = feature_loss(*(one[0].float() for one in read))
        if settings.label_weight and self.labels is not None:
            parts[2] = F.cross_entropy(given, self.labels[positions].to(self.device))
        return torch.stack(parts)

    def _classifiers(self) -> list[nn.Module]:
        name = self.classifier
        return [] if name is None else [one.get_submodule(name) for one in (self.student, self.teacher)]

    def _rate(self, step: int) -> float:
        settings, total = self.settings, self.settings.epochs * self.steps
        if settings.schedule == "steps":
            return stepped_rate_at(step, total, settings, settings.milestones, settings.decay)
        return learning_rate_at(step, total, settings)

    def _train_mode(self) -> None:
        self.student.train()
        if self.settings.batchnorm == "frozen":
            for module in self.student.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def _drop(self) -> float | None:
        if self.held is None or self._answers is None:
            return None
        return measure_drop(self._answers, self.held.outputs(self.student), self.held.codes).points


def _fingerprint(networks: tuple[nn.Module, ...], images: tuple[Calibration | None, ...]) -> str:
    """Return a SHA-256 over networks, labels and at most 1024 or so evenly spread images: tells runs apart cheaply."""
    digest = hashlib.sha256()
    for one in images:
        if one is None:
            digest.update(b"none")
            continue
        digest.update(repr((tuple(one.images.shape), None if one.labels is None else one.labels.tolist())).encode())
        digest.update(one.images[:: max(1, len(one) // 1024)].contiguous().numpy().tobytes())
    for network in networks:
        for name, tensor in network.state_dict().items():
            digest.update(name.encode())
            digest.update(to_numpy(tensor).tobytes())
    return digest.hexdigest()
