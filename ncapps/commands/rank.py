"""`ncapps rank`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ncapps.errors import InputError

EXAMPLE = "ncapps rank photos/ --backbone resnet18.a1_in1k --backbone mobilenetv3_large_100.ra_in1k --download"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("data", metavar="DATA", help="labelled images: folder of class folders, zip of one, or list")
    parser.add_argument(
        "--backbone",
        action="append",
        default=[],
        metavar="NAME[=FILE]",
        help="a timm name, with its weights where they lie in a file, or a file of `ncapps train`; may be repeated",
    )
    parser.add_argument(
        "--candidates",
        metavar="YAML",
        help="a file with a mapping from names to settings: {name: ..., checkpoint: ...}",
    )
    parser.add_argument("--download", action="store_true", help="let timm fetch weights that are not on this machine")
    parser.add_argument("--out", metavar="HTML", help="write a report with the plot of accuracy against cost")
    parser.add_argument("--budget", type=int, default=2000, help="look at this many images at most; 0 = all")
    parser.add_argument("--shots", type=int, default=5, help="images that a hidden class is added back from")
    parser.add_argument("--draws", type=int, default=20, help="how often classes are hidden")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images and of the draws")
    parser.add_argument("--cache", metavar="FOLDER", help="keep the features there, for another run")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16")
    parser.add_argument("--batch-size", type=int, metavar="N", help="images a forward pass")
    parser.add_argument("--no-progress", action="store_true", help="no progress bars")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Rank, and write the report where one is wanted."""
    from ncapps.transfer import rank_backbones

    candidates = _candidates(args)
    ranking = rank_backbones(
        candidates,
        args.data,
        budget=args.budget,
        shots=args.shots,
        draws=args.draws,
        seed=args.seed,
        download=args.download,
        cache=args.cache,
        device=args.device,
        precision=args.precision,
        batch_size=args.batch_size or "auto",
        progress=not args.no_progress,
    )
    lines = [str(ranking), *(f"skipped {entry.key}: {entry.reason}" for entry in ranking.skipped)]
    if args.out:
        from ncapps.report.rank import rank_page

        rank_page(ranking, Path(args.data).name).write(args.out)
        lines.append(f"wrote {args.out}")
    return {**ranking.as_dict(), "file": args.out}, "\n".join(lines)


def _candidates(args: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for given in args.backbone:
        name, candidate = _named(given)
        if name in found:
            raise InputError(f"--backbone {name} came twice; name each once, or give them names in --candidates")
        found[name] = candidate
    if args.candidates:
        listed = _listed(Path(args.candidates), args.download)
        doubled = sorted(set(found) & set(listed))
        if doubled:
            raise InputError(f"{doubled[0]!r} is in {args.candidates} and in --backbone; one of them is enough")
        found |= listed
    if not found:
        raise InputError("there is nothing to rank; name two networks or more: --backbone NAME --backbone NAME")
    return found


def _named(given: str) -> tuple[str, Any]:
    from ncapps.features import BackboneSpec

    name, equals, file = given.partition("=")
    if not equals or Path(given).is_file():
        return given, given
    if not name or not file:
        raise InputError(f"--backbone is NAME, or NAME=FILE with its weights, but {given!r} came")
    return name, BackboneSpec(name=name, checkpoint=file)


def _listed(path: Path, download: bool) -> dict[str, Any]:
    """Return the candidates of a YAML file, checked as any settings are."""
    import yaml

    from ncapps import config
    from ncapps.features import BackboneSpec

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the candidates {path} cannot be read ({error.strerror}); is the path right?") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not all(isinstance(settings, dict) for settings in content.values()):
        raise InputError(f"{path} must map a name to the settings of each backbone: mine: {{name: resnet18, ...}}")
    # Unlike a network to be trained, one to be ranked must not be left with random weights unasked.
    default = {"pretrained": "auto", "download": download}
    return {
        str(name): config.from_dict(BackboneSpec, {**default, **settings}, f"{path}, {name}")
        for name, settings in content.items()
    }
