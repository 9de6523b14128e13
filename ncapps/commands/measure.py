"""`ncapps measure`."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from ncapps.commands.backbone_options import add_backbone_options, make_extractor
from ncapps.errors import InputError

EXAMPLE = "ncapps measure cifar10_train.zip --backbone cifar_resnet20 --checkpoint resnet20.safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("data", metavar="DATA", help="labelled images; those the network was trained on, as a rule")
    add_backbone_options(parser)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Measure in float32, for bfloat16 rounding is as large as a collapsed class."""
    from ncapps.collapse import measure_collapse
    from ncapps.features.class_head import head_of_classes

    extractor = make_extractor(args, precision="float32")
    features = extractor.extract(args.data)
    if features.labels is None:
        raise InputError(f"{args.data} has no class names; expected one sub-folder a class, or a list with labels")
    head = head_of_classes(extractor.head, extractor.classes, features.classes)
    report = measure_collapse(features.values, features.labels, head)
    data = report.as_dict()
    lines = [str(report)]
    if head is None:
        lines.append("NC3 and the agreement of NC4 need a head whose classes are those of the images")
    elif features.logits is not None:
        names = np.asarray(extractor.classes if extractor.classes else features.classes)
        data["accuracy"] = float(np.mean(names[features.logits.argmax(1)] == features.labels))
        lines.append(f"{'accuracy':<26}{data['accuracy']:.6g}")
    lines += [f"skipped {entry.key}: {entry.reason}" for entry in features.skipped]
    data["skipped"] = [[entry.key, entry.reason] for entry in features.skipped]
    return data, "\n".join(lines)
