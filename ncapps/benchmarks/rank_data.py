"""The networks and images of the check of backbone rankings: built, trained, cut, and read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from ncapps import config
from ncapps.benchmarks.pruning import reporting_positions
from ncapps.benchmarks.rank_settings import RankNetwork, RankSet, RankTrialSettings
from ncapps.errors import InputError
from ncapps.features import Backbone, ImageSource, build_model, open_images, split_by_class
from ncapps.features.datasets import DATASETS
from ncapps.training import TrainSettings, load_trained, train
from ncapps.transfer import RankSettings
from ncapps.transfer.sample import choose_images

# A class that is taken has twenty images where it can: ten to learn from, of which five are shots, and ten to ask.
_PER_CLASS = 20


def make_network(network: RankNetwork, settings: RankTrialSettings, *, progress: bool = False) -> Backbone:
    """Return a network, trained now or read from the cache where its settings ask for training.

    Raises
    ------
    InputError
        If its weights are missing, or a module that is to be cut is not there.
    """
    data = Path(settings.data)
    if network.train:
        path = Path(settings.cache) / f"{network.name.replace(' ', '_')}.safetensors"
        if not path.is_file():
            images = network.train_images if network.train_images in DATASETS else data / network.train_images
            trained = train(config.load(TrainSettings, network.train), images, progress=progress)
            path.parent.mkdir(parents=True, exist_ok=True)
            trained.save(path)
        return load_trained(path)
    spec = network.spec
    if spec.checkpoint is not None:
        spec = replace(spec, checkpoint=str(data / spec.checkpoint))
    model = build_model(spec, seed=settings.seed)
    for name in network.cut:
        try:
            model.set_submodule(name, nn.Identity(), strict=True)
        except AttributeError:
            raise InputError(f"{network.name}: {spec.name} has no module {name!r} to cut") from None
    overrides = {name: value for name, value in spec.preprocessing_overrides().items() if value is not None}
    return Backbone(model, preprocessing=overrides)


def open_halves(one: RankSet, settings: RankTrialSettings) -> tuple[ImageSource, ImageSource]:
    """Return a set's two halves of each class: images to rank and learn on, and others to ask about.

    Raises
    ------
    InputError
        If the images have no class names.
    """
    path = Path(settings.data) / one.images
    source = open_images(path)
    if one.for_choices:
        rows = reporting_positions(path, source.keys, for_choices=one.for_choices, most=len(source))
        source = source.select(np.sort(rows))
    if source.labels is None:
        raise InputError(f"{one.images} has no class names; expected one sub-folder a class")
    # Ten is what `choose_images` adds to the shots and their questions for a class of twenty.
    chosen = choose_images(
        source.labels, RankSettings(budget=settings.images, shots=_PER_CLASS - 5, seed=settings.seed)
    )
    source = source.select(chosen)
    learned, asked = split_by_class(source.labels, (0.5, 0.5), settings.seed)
    return source.select(learned), source.select(asked)
