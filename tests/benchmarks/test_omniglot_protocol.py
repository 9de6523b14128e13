from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omniglot_zips import ALPHABETS, write_background, write_runs

from ncapps import config
from ncapps.benchmarks import omniglot_protocol
from ncapps.benchmarks.episodes import EpisodeSettings
from ncapps.benchmarks.omniglot_protocol import OmniglotSettings, run_omniglot
from ncapps.errors import InputError
from ncapps.training import TrainSettings

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> OmniglotSettings:
    root = tmp_path_factory.mktemp("omniglot")
    write_background(root / "small.zip")
    write_runs(root / "runs.zip")
    return OmniglotSettings(
        root=str(root),
        background=["small.zip"],
        runs="runs.zip",
        train=TrainSettings(backbone="cifar_resnet20", image_size=16, epochs=1, batch_size=8, augment="strokes"),
        seeds=[3, 5],
        held_out=["Lines"],
        metrics=["cosine", "euclidean"],
        views=1,
        drawn_runs=6,
        episodes=EpisodeSettings(episodes=20, queries=2),
        ways=[3],
        shots=[1, 2],
        folder=str(root / "models"),
    )


@pytest.fixture(scope="module")
def trained_on():
    return []


@pytest.fixture(scope="module")
def report(settings, trained_on):
    with pytest.MonkeyPatch.context() as patch:
        plain = omniglot_protocol.train

        def watched(asked, source, **more):
            trained_on.append((asked.seed, set(source.labels)))
            return plain(asked, source, progress=False, **more)

        patch.setattr(omniglot_protocol, "train", watched)
        return run_omniglot(settings)


def test_all_figures_are_there_for_each_seed_and_metric(settings, report):
    official = report["official_runs"]
    assert official["pixels"]["trials"] == 8
    assert official["runs"] == 2
    assert set(official["metrics"]) == set(settings.metrics)
    for found in official["metrics"].values():
        assert set(found["seeds"]) == {"3", "5"}
        for one in found["seeds"].values():
            assert one["trials"] == 8
            assert one["interval"][0] <= one["error"] == one["wrong"] / 8 <= one["interval"][1]
        assert found["mean_error"] == np.mean([one["error"] for one in found["seeds"].values()])
    assert report["background"]["characters"] == sum(ALPHABETS.values())
    assert set(report["held_out"]["episodes"]) == {"3-way 1-shot", "3-way 2-shot"}
    assert set(report["held_out"]["drawn_runs"]) == set(settings.metrics)
    assert json.loads(json.dumps(report)) == report


def test_no_network_is_trained_on_what_it_is_asked_about(report, trained_on):
    everything = {f"{name}/character{place:02d}" for name, count in ALPHABETS.items() for place in range(1, count + 1)}
    without = {name for name in everything if not name.startswith("Lines/")}
    assert trained_on == [(3, everything), (5, everything), (3, without)]
    assert report["held_out"]["trained_on_characters"] == len(without)
    assert report["held_out"]["characters"] == ALPHABETS["Lines"]


def test_backbones_are_found_again_and_give_the_same_figures(settings, report):
    assert run_omniglot(settings) == report


def test_without_the_official_runs_they_are_not_even_opened(settings, report):
    choice = run_omniglot(replace(settings, official=False, runs="not there.zip"))
    assert choice == {name: part for name, part in report.items() if name != "official_runs"}


def test_no_seed_and_an_unknown_metric_are_refused():
    with pytest.raises(InputError, match="seeds is empty"):
        OmniglotSettings(seeds=[])
    with pytest.raises(InputError, match="'cosin' is not known"):
        OmniglotSettings(metrics=["cosin"])


def test_the_repositorys_settings_hold_alphabets_out_that_no_choice_was_made_on():
    file = REPOSITORY / "configs/fewshot/omniglot.yaml"
    settings = config.parse(OmniglotSettings, ["--config", str(file)])
    assert settings.train == config.load(TrainSettings, REPOSITORY / "configs/train/omniglot.yaml")
    assert settings.held_out
    assert not {"Early_Aramaic", "Sanskrit"} & set(settings.held_out)
