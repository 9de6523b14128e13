"""The options that say which network to use and how to run it, shared by all verbs that need one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncapps.errors import InputError

if TYPE_CHECKING:
    from ncapps.features import Backbone, FeatureExtractor


def add_backbone_options(parser: argparse.ArgumentParser, extracting: bool = True) -> None:
    """Add --backbone, --checkpoint and what goes with them; how to run it only where features are extracted."""
    group = parser.add_argument_group("network")
    group.add_argument(
        "--backbone", required=True, metavar="NAME", help="a timm name, or a file that `ncapps train` wrote"
    )
    group.add_argument("--checkpoint", metavar="FILE", help="its weights: .safetensors, .pth or .pt")
    group.add_argument("--download", action="store_true", help="let timm fetch the weights of that name")
    group.add_argument(
        "--model-arg",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a further argument of timm.create_model, such as pad_type=same; may be repeated",
    )
    group.add_argument("--image-size", type=int, metavar="PIXELS", help="input side instead of the model's own")
    group.add_argument("--mean", type=float, nargs="+", metavar="M", help="one value, or one a channel, on 0..1")
    group.add_argument("--std", type=float, nargs="+", metavar="S", help="one value, or one a channel, on 0..1")
    group.add_argument("--no-progress", action="store_true", help="no progress bars")
    if extracting:
        group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps")
        group.add_argument("--precision", default=None, help="auto, float32 or bfloat16")
        group.add_argument("--batch-size", type=int, metavar="N", help="images a forward pass")


def make_backbone(args: argparse.Namespace) -> Backbone:
    """Return the network that the options ask for."""
    from ncapps.features import Backbone
    from ncapps.training import load_trained

    if Path(args.backbone).is_file():
        if args.checkpoint or args.model_arg:
            raise InputError(f"{args.backbone} is a trained model with its own weights; leave --checkpoint out")
        return load_trained(args.backbone)
    preprocessing: dict[str, Any] = {"size": args.image_size, "mean": _channels(args.mean), "std": _channels(args.std)}
    return Backbone(
        args.backbone,
        checkpoint=args.checkpoint,
        download=args.download,
        pretrained="auto",
        model_kwargs=dict(_key_value(text) for text in args.model_arg),
        preprocessing={key: value for key, value in preprocessing.items() if value is not None},
    )


def make_extractor(args: argparse.Namespace, precision: str = "auto") -> FeatureExtractor:
    """Return an extractor for that network; `precision` is what the verb takes where the user says nothing."""
    from ncapps.features import FeatureExtractor

    return FeatureExtractor(make_backbone(args), **extractor_settings(args, precision))


def extractor_settings(args: argparse.Namespace, precision: str = "auto") -> dict[str, Any]:
    """Return the extractor's settings that the options hold."""
    return {
        "device": args.device,
        "precision": args.precision or precision,
        "batch_size": args.batch_size or "auto",
        "progress": not args.no_progress,
    }


def _channels(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values * 3 if len(values) == 1 else values)


def _key_value(text: str) -> tuple[str, Any]:
    import yaml

    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise InputError(f"--model-arg is KEY=VALUE, such as pad_type=same, but {text!r} came")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        raise InputError(f"the value of --model-arg {text!r} can't be read; quote it for the shell?") from None
