"""`ncapps add-class`."""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLE = "ncapps add-class shop.ncapps kiwi kiwi-photos/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("recognizer", metavar="RECOGNIZER", help="a file that `ncapps fit` wrote")
    parser.add_argument("name", metavar="NAME", help="the new class's name")
    parser.add_argument("data", metavar="DATA", help="its images: 1 to 5 are enough")
    parser.add_argument("--out", metavar="FILE", help="write here instead of over the recognizer")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Add the class and save."""
    from ncapps.recognizer import Recognizer, class_name

    recognizer = Recognizer.load(args.recognizer, device=args.device, progress=False)
    name = class_name(recognizer, args.name)
    recognizer.add_class(name, args.data)
    target = args.out or args.recognizer
    recognizer.save(target)
    count = len(recognizer.classifier.added_[name])
    text = f"added {name} from {count} image(s); {len(recognizer.classes)} classes now\nwrote {target}"
    return {"added": name, "images": count, "classes": list(recognizer.classes), "file": str(target)}, text
