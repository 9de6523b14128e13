"""The whole of compression: find the inner widths, measure, choose, cut, check, repair."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ncapps.compression.building import How, Work, check, rank_and_ask
from ncapps.compression.calibration import EVERY, Calibration, gather, gather_held_out
from ncapps.compression.class_subset import cut_outputs, only_classes
from ncapps.compression.front import mark, smallest_within
from ncapps.compression.importance.torch_pruning import TORCH_PRUNING
from ncapps.compression.latency_target import within_latency
from ncapps.compression.preparation import prepare
from ncapps.compression.repair import VIEWS
from ncapps.compression.result import Compressed, shapes_of
from ncapps.compression.targets import target_of
from ncapps.errors import InputError


def compress(
    model: nn.Module,
    images: Any,
    labels: Any = None,
    *,
    macs: float | None = None,
    params: float | None = None,
    latency_ms: float | None = None,
    latency_batch: int = 1,
    max_drop: float | None = None,
    importance: str = "obs",
    allocation: str = "loss",
    calibration: int = 512,
    held_out: Any = None,
    front: Sequence[float] = (),
    classes: Sequence[int] | None = None,
    batch_size: int = 128,
    example_input: torch.Tensor | None = None,
    seed: int = 0,
    heads: bool = True,
    streams: bool = False,
    repair: bool | str = True,
    views: int = VIEWS,
    time_limit: float = 60.0,
    progress: bool = True,
) -> Compressed:
    """Prune a trained network to a target and repair it, without training.

    Inner widths (the channels between one layer and the next inside a block) and attention heads are cut, the features
    keep their width. Channels go in the order of the importance, shared out over the layers by least loss for
    each operation saved; the layers that write and read them are refitted by least squares, in order, so that each
    stream becomes the dense network's again, and the early ones, of which the images say enough, are then moved
    together; batch norms between them are re-estimated. Layers with large outputs are refitted on fewer of the images,
    so that these fit into memory a few times over.

    Parameters
    ----------
    model : nn.Module
        A trained float32 network; it is not changed in any way.
    images : Tensor, ndarray or iterable
        Calibration images, preprocessed for the network: a float batch (images, channels, height, width), or an
        iterable of such batches or of (batch, labels) pairs. Some hundred suffice; training images are fine.
    labels : array-like, optional
        One label an image; only an importance that looks at classes needs them. With them the report has the dense
        network's collapse profile.
    macs, params : float, optional
        The whole network's multiply-accumulates, or parameters, after, as a fraction of those before; between 0 and 1,
        and not both. The result costs at most this, and as near to it as whole channels allow. Without any target,
        macs=0.5.
    latency_ms : float, optional
        Instead of these, the median milliseconds of one forward pass after, in eager torch, on this machine, the
        network's device and the present threads. Layers are timed one by one to share it out, and cut networks as a
        whole to meet it, before the repair; the report has what the result takes.
    latency_batch : int
        Images in that pass.
    max_drop : float, optional
        The most percentage points of accuracy to lose on the held-out images; of agreement, where they have no labels.
        Alone, the smallest network within it is looked for; with another target, a network that loses more is given
        up, and the smallest one within it is returned instead. `report.front` holds all that were tried.
    importance : str
        A name in `IMPORTANCES`, or in `TORCH_PRUNING`: that library's own, for comparison.
    allocation : {"loss", "repaired", "uniform"}
        How the target is shared out over the layers: "loss" takes the least loss for each operation saved, as measured
        on the images; "repaired" as the repair is expected to leave it on others (`expected_loss.after_repair`), which
        differs where late layers see few positions of each image: large photos; "uniform" the same fraction of all.
    classes : sequence of int, optional
        The network's outputs that are still needed: the others are cut off the classifier, images with other labels
        are left out, and the network is pruned for these alone. Output i of the result is `classes[i]`.
    calibration : int
        The most calibration images that are used.
    held_out : Tensor or pair, optional
        Images, or (images, class indices), on which the report compares both networks; `max_drop` needs them.
    front : sequence of float
        Further fractions that are tried from the same statistics, for `report.front`; those out of reach are left out.
        With `max_drop` it is the search that fills the front; with `latency_ms` they are fractions of the layers' time.
    batch_size : int
        Images in a forward pass.
    example_input : Tensor, optional
        A batch for tracing the network; by default two calibration images.
    seed : int
        Seed of the choice of images and of random importances.
    heads : bool
        Whether attention heads are cut too, where that is exact (`ncapps.compression.heads.find_heads`): whole ones,
        and one is left at least. torch-pruning's importances leave heads alone.
    streams : bool
        Whether residual streams that the classifier does not read are narrowed too, where that is exact
        (`ncapps.compression.streams.find_streams`); features inside the network keep their names and become narrower.
    repair : bool or "batchnorm"
        Whether to refit and re-estimate; for comparison, "batchnorm" re-estimates all batch norms and refits nothing,
        and with False the network is cut and nothing else.
    views : int
        The most mirrored and shifted views of each image that the repair sees: late layers see as many as fit into
        memory, early ones as many as they need. More are better, and slower.
    time_limit : float
        Seconds after which tracing the network is given up.
    progress : bool
        Whether to show progress bars.

    Returns
    -------
    Compressed
        The new network, the plan and the report.

    Raises
    ------
    InputError
        If the target is out of its range or out of reach, there are no calibration images or they are not finite,
        the network has no inner width that can be cut exactly or cannot be traced, or labels or held-out images are
        needed and missing.

    Examples
    --------
    >>> import timm, torch
    >>> from ncapps.compression import compress
    >>> model = timm.create_model("resnet18", channels=(8, 16, 32, 64))
    >>> small = compress(model, torch.randn(8, 3, 32, 32), macs=0.8, progress=False)
    >>> 0.79 < small.report.macs_ratio <= 0.8
    True
    """
    start = time.perf_counter()
    unit, target = target_of(
        macs=macs, params=params, latency_ms=latency_ms, max_drop=max_drop, latency_batch=latency_batch
    )
    for fraction in front:
        target_of(macs=fraction)
    how = How(importance=importance, allocation=allocation, seed=seed, repair=repair, views=views, progress=progress)
    check(model, how)
    chosen, held = _images(images, labels, held_out, calibration, batch_size, seed, classes)
    if max_drop is not None and held is None:
        raise InputError("max_drop is measured on held-out images; pass held_out=(images, labels)")
    work = _ranked(
        model, chosen, held, how, classes=classes, example=example_input, time_limit=time_limit, heads=heads,
        streams=streams,
    )  # fmt: skip
    shapes = shapes_of(model)
    goal = None
    if latency_ms is not None:
        goal = within_latency(work.prepared, work.rankings, latency_ms, images=latency_batch, allocation=allocation)
        work, target = replace(work, prepared=goal.prepared), goal.share

    def build(fraction: float) -> Compressed:
        return work.build(unit, fraction, classes=classes, shapes=shapes, start=start)

    least = work.prepared.least(work.rankings, unit)
    if max_drop is None:
        chosen_first = [target or 0.5, *(one for one in front if one >= least and one != (target or 0.5))]
        small = mark([build(fraction) for fraction in chosen_first], 0)
    else:
        small = smallest_within(build, max_drop, unit, target, least)
    return small if goal is None else goal.with_times(small)


def compress_front(
    model: nn.Module,
    images: Any,
    labels: Any = None,
    *,
    macs: Sequence[float] = (0.8, 0.65, 0.5, 0.4, 0.3, 0.25),
    importance: str = "obs",
    allocation: str = "loss",
    calibration: int = 512,
    held_out: Any = None,
    classes: Sequence[int] | None = None,
    batch_size: int = 128,
    seed: int = 0,
    heads: bool = True,
    streams: bool = False,
    repair: bool | str = True,
    views: int = VIEWS,
    time_limit: float = 60.0,
    progress: bool = True,
) -> tuple[Compressed, ...]:
    """Prune a trained network to several targets from one statistics pass: the front of cost against accuracy.

    Parameters are those of `compress`; `macs` holds the targets. `report.front` of each result is the whole front, with
    its own point marked.

    Raises
    ------
    InputError
        As `compress`.
    """
    how = How(importance=importance, allocation=allocation, seed=seed, repair=repair, views=views, progress=progress)
    for target in macs:
        target_of(macs=target)
    check(model, how)
    start = time.perf_counter()
    chosen, held = _images(images, labels, held_out, calibration, batch_size, seed, classes)
    work = _ranked(model, chosen, held, how, classes=classes, time_limit=time_limit, heads=heads, streams=streams)
    passed = time.perf_counter() - start
    shapes = shapes_of(model)
    found = []
    for target in macs:
        # Each is charged with the statistics pass, as if it had been asked for alone.
        since = time.perf_counter() - passed
        found.append(work.build("macs", target, classes=classes, shapes=shapes, start=since))
    return tuple(mark(found, i) for i in range(len(found)))


def _ranked(
    model: nn.Module,
    chosen: Calibration,
    held: Calibration | None,
    how: How,
    *,
    classes: Sequence[int] | None,
    heads: bool,
    **settings: Any,
) -> Work:
    """Take the statistics of what is to be pruned, and rank its channels."""
    dense = model if classes is None else cut_outputs(model, chosen.images[:2], classes)
    heads = heads and how.importance not in TORCH_PRUNING
    return rank_and_ask(prepare(dense, chosen, progress=how.progress, heads=heads, **settings), how, held)


def _images(
    images: Any, labels: Any, held_out: Any, limit: int, batch_size: int, seed: int, classes: Sequence[int] | None
) -> tuple[Calibration, Calibration | None]:
    chosen = gather(images, labels, limit=limit if classes is None else EVERY, batch_size=batch_size, seed=seed)
    held = None if held_out is None else gather_held_out(held_out, batch_size=batch_size, seed=seed)
    if classes is not None:
        chosen = only_classes(chosen, classes, limit=limit, seed=seed)
        held = None if held is None or held.labels is None else only_classes(held, classes, limit=EVERY, seed=seed)
    return chosen, held
