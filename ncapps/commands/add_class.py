"""`ncapps add-class`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ncapps.errors import InputError

if TYPE_CHECKING:
    from ncapps.arrays import Label
    from ncapps.recognizer import Recognizer

EXAMPLE = "ncapps add-class shop.ncapps kiwi kiwi-photos/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("recognizer", metavar="RECOGNIZER", help="a file that `ncapps fit` wrote")
    parser.add_argument("name", metavar="NAME", help="the new class's name")
    parser.add_argument("data", metavar="DATA", help="its images: 1 to 5 are enough")
    parser.add_argument("--out", metavar="FILE", help="write here instead of over the recognizer")
    parser.add_argument(
        "--dry-run", action="store_true", help="change nothing; tell what adding would do, and how many images it takes"
    )
    parser.add_argument(
        "--wanted-accuracy",
        type=float,
        default=0.9,
        metavar="SHARE",
        help="for --dry-run: what is asked of it",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Add the class and save."""
    from ncapps.recognizer import Recognizer, class_name

    recognizer = Recognizer.load(args.recognizer, device=args.device, progress=False)
    name = class_name(recognizer, args.name)
    if args.dry_run:
        return _dry_run(recognizer, name, args.data, args.wanted_accuracy)
    recognizer.add_class(name, args.data)
    target = args.out or args.recognizer
    recognizer.save(target)
    count = len(recognizer.classifier.added_[name])
    text = f"added {name} from {count} image(s); {len(recognizer.classes)} classes now\nwrote {target}"
    return {"added": name, "images": count, "classes": list(recognizer.classes), "file": str(target)}, text


def _dry_run(recognizer: Recognizer, name: Label, data: str, wanted: float) -> tuple[dict[str, Any], str]:
    features = recognizer.extractor.extract(data)
    if not len(features.values):
        raise InputError(f"no image of class {name!r} could be read in {data}; is the path right?")
    told = recognizer.classifier.add_class(name, features.values, dry_run=True, wanted_accuracy=wanted)
    lines = [
        f"{told.images} image(s) of {name}: about {told.expected_accuracy:.0%} of its images would be named right",
        "the images agree with one another" if told.consistent else "the images do not agree with one another",
    ]
    if told.odd_one_out is not None:
        lines.append(f"the odd one out: {features.keys[told.odd_one_out]}")
    lines += [f"lost to {one.name}: {one.share:.0%}" for one in told.collisions if one.share >= 0.01]
    needed = told.images_needed
    lines.append(
        f"a hundred images more would not bring {wanted:.0%}" if needed is None
        else f"images it takes besides for {wanted:.0%}: {needed}"
    )  # fmt: skip
    return asdict(told), "\n".join([*lines, "nothing was changed"])
