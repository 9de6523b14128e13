"""`ncapps extract`."""

from __future__ import annotations

import argparse
from typing import Any

from ncapps.commands.backbone_options import add_backbone_options, make_extractor

EXAMPLE = "ncapps extract photos.zip --backbone resnet18.a1_in1k --download --out features/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("data", metavar="DATA", help="folder, zip, CSV/TSV list, or a registered data set's name")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="the store; run again to go on where it stopped")
    add_backbone_options(parser)


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Extract into a store."""
    features = make_extractor(args).extract(args.data, store=args.out)
    data = {
        "images": len(features),
        "width": int(features.values.shape[1]),
        "classes": list(features.classes),
        "skipped": [[entry.key, entry.reason] for entry in features.skipped],
        "folder": str(args.out),
    }
    lines = [f"{data['images']} images, {data['width']} features each, {len(data['classes'])} classes"]
    lines += [f"skipped {entry.key}: {entry.reason}" for entry in features.skipped]
    return data, "\n".join([*lines, f"wrote {args.out}"])
