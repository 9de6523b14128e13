"""`ncapps remove-class`."""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLE = "ncapps remove-class shop.ncapps kiwi"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("recognizer", metavar="RECOGNIZER", help="a file that `ncapps fit` wrote")
    parser.add_argument("name", metavar="NAME", help="the class to take out")
    parser.add_argument("--out", metavar="FILE", help="write here instead of over the recognizer")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Remove the class and save."""
    from ncapps.recognizer import Recognizer, class_name

    recognizer = Recognizer.load(args.recognizer, device="cpu", progress=False)
    name = class_name(recognizer, args.name)
    recognizer.remove_class(name)
    target = args.out or args.recognizer
    recognizer.save(target)
    text = f"removed {name}; {len(recognizer.classes)} classes are left\nwrote {target}"
    return {"removed": name, "classes": list(recognizer.classes), "file": str(target)}, text
