"""The `ncapps` command: it parses, hands over to one file in `ncapps.commands` a verb, and prints what comes back."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sys
from collections.abc import Sequence

from ncapps import __version__
from ncapps.errors import InputError

COMMANDS: dict[str, str] = {
    "quickstart": "the whole idea on the bundled digits, in about a minute",
    "fit": "make a recognizer from a folder of photos",
    "predict": "name images, and say which are unknown",
    "add-class": "teach a recognizer a class from a few images",
    "remove-class": "take a class out of a recognizer again",
    "measure": "measure neural collapse, NC1 to NC4",
    "rank": "tell which backbone suits your images, before any training",
    "extract": "write features to a folder, resumable",
    "train": "train a timm backbone to collapse",
    "compress": "prune a network without training",
    "export": "write a network as ONNX, in 8 bits if asked, or as a torch.export program",
}
"""Every verb with its one-line help; verb `add-class` lives in `ncapps/commands/add_class.py`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return 0, or 2 after one clear line about bad input, or 130 after an interruption."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    args = _parser(arguments).parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="ncapps: %(message)s")
    module = importlib.import_module(f"ncapps.commands.{args.verb.replace('-', '_')}")
    try:
        data, text = module.run(args)
        sys.stdout.write((json.dumps(data, indent=2) if args.json else text) + "\n")
        sys.stdout.flush()
    except InputError as error:
        sys.stderr.write(f"ncapps {args.verb}: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"ncapps {args.verb}: interrupted; nothing half-written is left behind\n")
        return 130
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does; what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ncapps", description="Neural collapse, put to work.")
    parser.add_argument("--version", action="version", version=f"ncapps {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, line in COMMANDS.items():
        if verb not in arguments:
            # Only the verb in use is imported, so that help comes at once.
            verbs.add_parser(verb, help=line)
            continue
        module = importlib.import_module(f"ncapps.commands.{verb.replace('-', '_')}")
        one = verbs.add_parser(
            verb,
            help=line,
            description=f"{line[0].upper()}{line[1:]}.",
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(one)
        one.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser
