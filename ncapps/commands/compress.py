"""`ncapps compress`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ncapps.commands.backbone_options import add_backbone_options, make_backbone
from ncapps.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from ncapps.arrays import Label
    from ncapps.features import Backbone

EXAMPLE = "ncapps compress photos/ --backbone resnet18.a1_in1k --download --macs 0.5 --out small.safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("data", metavar="DATA", help="calibration images, some hundred; labels are not needed")
    parser.add_argument("--macs", type=float, default=0.5, help="fraction of the operations to keep")
    parser.add_argument("--importance", default="obs", help="how channels are chosen: obs, wanda, l1, fisher, random")
    parser.add_argument("--images", type=int, default=512, help="how many calibration images to use at most")
    parser.add_argument("--out", required=True, metavar="FILE", help="the pruned network")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images")
    add_backbone_options(parser, extracting=False)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Prune, repair, save."""
    from ncapps.compression import compress

    if args.images < 1:
        raise InputError(f"--images must be 1 or more, but {args.images} came")
    backbone = make_backbone(args)
    images, labels, skipped = _calibration_images(args, backbone)
    small = compress(
        backbone.model,
        images,
        labels,
        macs=args.macs,
        importance=args.importance,
        seed=args.seed,
        progress=not args.no_progress,
    )
    small.save(args.out)
    report = small.report
    lines = [
        f"operations {report.macs_before:,} -> {report.macs_after:,} ({report.macs_ratio:.1%})",
        f"parameters {report.params_before:,} -> {report.params_after:,}",
        f"same answer as before on {report.agreement:.1%} of {report.images} calibration images",
        *(f"skipped {key}: {reason}" for key, reason in skipped),
        f"wrote {args.out}",
    ]
    data = {**asdict(report), "macs_ratio": report.macs_ratio, "skipped": skipped, "file": str(args.out)}
    return data, "\n".join(lines)


def _calibration_images(
    args: argparse.Namespace, backbone: Backbone
) -> tuple[Tensor, list[Label] | None, list[list[str]]]:
    """Return a random choice of images as the network's input, their labels, and the unreadable ones."""
    import torch

    from ncapps.features import UnreadableImage, open_images

    source = open_images(args.data)
    pixels, labels, skipped = [], [], []
    for index in np.random.default_rng(args.seed).permutation(len(source)):
        if len(pixels) == args.images:
            break
        try:
            pixels.append(backbone.preprocessing.pixels(source.read(int(index))))
        except UnreadableImage as error:
            skipped.append([source.keys[index], error.reason])
            continue
        labels.append(None if source.labels is None else source.labels[index])
    if not pixels:
        raise InputError(f"no image of {args.data} could be read")
    images = backbone.preprocessing.normalise(torch.from_numpy(np.stack(pixels)))
    return images, None if source.labels is None else labels, skipped
