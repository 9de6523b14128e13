"""Train a backbone to collapse and keep the model and its history.

python recipes/train.py --train configs/train/digits.yaml --data digits --held_out "[8, 9]" --output runs/digits
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ncapps import config, persist
from ncapps.features.images import open_images, split_by_class
from ncapps.training import TrainSettings, train


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Train on 60 % of the images of each class but the held-out ones; 20 % watch, 20 % stay for reporting."""

    data: str = "digits"
    split: str | None = None
    root: str | None = None
    held_out: list[int] | list[str] = field(default_factory=list)
    output: str = "runs/train"
    train: TrainSettings = field(default_factory=TrainSettings)


def main(recipe: Recipe) -> None:
    """Run the recipe; taken up where it stopped if it was interrupted."""
    source = open_images(recipe.data, split=recipe.split, root=recipe.root)
    known = source.select(~np.isin(np.asarray(source.labels), recipe.held_out))
    fit, watch, _ = (known.select(part) for part in split_by_class(known.labels, seed=recipe.train.seed))
    output = Path(recipe.output)
    result = train(recipe.train, fit, val_images=watch, checkpoint=output / "checkpoint.safetensors")
    result.save(output / "model.safetensors")
    config.dump(recipe, output / "config.yaml")
    lines = [json.dumps(asdict(record)) for record in result.history]
    persist.write_text(output / "history.jsonl", "\n".join(lines) + "\n")
    logging.getLogger(__name__).info("%s", lines[-1])


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(config.parse(Recipe))
