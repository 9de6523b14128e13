import json

import numpy as np
import pytest
from PIL import Image

from ncapps.benchmarks.rank_data import make_network, open_halves
from ncapps.benchmarks.rank_settings import RankNetwork, RankSet, RankTrialSettings
from ncapps.benchmarks.rank_trials import agreement_of, run_rank_trials, sign, trial
from ncapps.benchmarks.rank_truth import few_shot, linear_probe
from ncapps.errors import InputError
from ncapps.features import BackboneSpec, Features
from ncapps.transfer import SCORES, RankSettings

QUALITIES = (0.3, 1.0, 2.0, 6.0)


def half(within, seed, per_class=12):
    """Six classes around the same means; the images are the seed's."""
    means = np.random.default_rng(99).normal(size=(6, 10))
    codes = np.repeat(np.arange(6), per_class)
    values = means[codes] + within * np.random.default_rng(seed).normal(size=(len(codes), 10))
    keys = tuple(f"{seed}-{place}" for place in range(len(codes)))
    return Features(values=values.astype(np.float32), keys=keys, labels=np.array(list("abcdef"))[codes])


@pytest.fixture(scope="module")
def settings():
    networks = [RankNetwork(name=str(within)) for within in QUALITIES]
    return RankTrialSettings(networks=networks, sets=[RankSet(name="s", images="s")], shots=3, draws=4)


def test_truths_fall_with_the_quality_of_features():
    ranked = RankSettings(shots=3, draws=4)
    probes = [linear_probe(half(within, 0), half(within, 1)) for within in QUALITIES]
    shots = [few_shot(half(within, 0), half(within, 1), ranked, "cosine") for within in QUALITIES]
    assert probes == sorted(probes, reverse=True)
    assert shots == sorted(shots, reverse=True)
    assert probes[0] > 0.98
    assert shots[0] > 0.95
    assert abs(probes[-1] - 1 / 6) < 0.2


def test_every_score_foretells_a_plain_order(settings):
    found = trial({str(within): (half(within, 0), half(within, 1)) for within in QUALITIES}, settings)
    assert set(found["agreement"]) == set(SCORES)
    for score in set(SCORES) - {"ncti"}:
        assert found["agreement"][score]["linear_probe"]["spearman"] >= 0.8, score
    assert found["agreement"]["held_out_classes"]["few_shot"] == pytest.approx(
        {"kendall": 1.0, "spearman": 1.0, "regret": 0.0}
    )
    assert (found["learned"], found["asked"], found["classes"]) == (72, 72, 6)


class TestAgreement:
    def test_the_reverse_order_and_a_constant(self):
        against = agreement_of([0.1, 0.5, 0.9], [3, 2, 1])
        assert against["kendall"] == pytest.approx(-1)
        assert against["spearman"] == pytest.approx(-1)
        assert against["regret"] == pytest.approx(0.8)
        assert agreement_of([0.1, 0.5, 0.9], [7, 7, 7])["kendall"] == 0

    def test_a_mistake_at_the_top_weighs_more(self):
        truth = [0.9, 0.8, 0.7, 0.6]
        top, bottom = agreement_of(truth, [3, 4, 2, 1]), agreement_of(truth, [4, 3, 1, 2])
        assert top["spearman"] == pytest.approx(bottom["spearman"])
        assert top["kendall"] < bottom["kendall"]

    def test_losses_count_downwards(self):
        assert {sign("loo_nll"), sign("nc1"), sign("cdnv")} == {-1}
        assert sign("logme") == 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, random = tmp_path_factory.mktemp("shared"), np.random.default_rng(0)
    for code in range(4):
        (root / "shades" / f"c{code}").mkdir(parents=True)
        for place in range(24):
            pixels = np.clip(random.normal(50 * code + 40, 20, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "shades" / f"c{code}" / f"{place:02d}.png")
    return root


def test_from_a_folder_to_a_report_and_again_from_the_cache(folder, tmp_path):
    spec = BackboneSpec(name="cifar_resnet20")
    settings = RankTrialSettings(
        networks=[
            RankNetwork(name="whole", spec=spec),
            RankNetwork(name="two stages", spec=spec, cut=["layer3", "linear"]),
            RankNetwork(name="16 pixels", spec=BackboneSpec(name="cifar_resnet20", image_size=16)),
        ],
        sets=[RankSet(name="shades", images="shades", for_choices=8)],
        data=str(folder),
        cache=str(tmp_path / "cache"),
        shots=2,
        draws=3,
    )
    lines = []
    report = json.loads(json.dumps(run_rank_trials(settings, lines.append)))
    assert [report["networks"][name]["width"] for name in ("whole", "two stages", "16 pixels")] == [64, 32, 64]
    one = report["sets"]["shades"]
    assert one["learned"] + one["asked"] == 88
    assert set(one["truths"]["whole"]) == {"linear_probe", "few_shot"}
    assert report["mean"]["logme"]["few_shot"] == pytest.approx(one["agreement"]["logme"]["few_shot"])
    assert report["environment"]["versions"]["torch"]
    assert len(lines) == 4
    again = run_rank_trials(settings)
    assert again["sets"]["shades"]["truths"] == one["truths"]


def test_the_halves_share_no_image(folder):
    networks = [RankNetwork(name=name) for name in "abc"]
    settings = RankTrialSettings(
        networks=networks, sets=[RankSet(name="shades", images="shades")], data=str(folder), images=60
    )
    learned, asked = open_halves(settings.sets[0], settings)
    assert not set(learned.keys) & set(asked.keys)
    # Sixty images hold twenty of each of three classes.
    assert len(learned) == len(asked) == 30
    assert learned.classes == asked.classes
    assert len(learned.classes) == 3


def test_a_module_that_is_not_there_cannot_be_cut(settings):
    with pytest.raises(InputError, match="cut: cifar_resnet20 has no module 'layer9' to cut"):
        make_network(RankNetwork(name="cut", cut=["layer9"]), settings)
