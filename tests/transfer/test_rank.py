import json
import logging

import numpy as np
import pytest
import torch
from torch import nn

import ncapps
from ncapps.errors import InputError
from ncapps.features import Backbone, BackboneSpec, FeatureExtractor, Features, build_model, open_images
from ncapps.transfer import SCORES, rank_backbones
from ncapps.transfer.candidates import as_candidates
from ncapps.transfer.cost import measure_cost, weight_bytes

QUICK = {"budget": 120, "draws": 3, "shots": 2, "progress": False, "workers": 0}


@pytest.fixture(scope="module")
def digits():
    return open_images("digits")


@pytest.fixture(scope="module")
def nets():
    """Two random networks; which is better does not matter."""
    return {
        name: Backbone(build_model(BackboneSpec(name=name), seed=0)) for name in ("cifar_resnet20", "cifar_resnet56")
    }


@pytest.fixture(scope="module")
def ranking(digits, nets):
    return rank_backbones(nets, digits, **QUICK)


def test_rows_are_sorted_and_complete(ranking):
    assert ranking.primary == "held_out_classes"
    values = [row.scores["held_out_classes"].value for row in ranking.rows]
    assert values == sorted(values, reverse=True)
    for row in ranking.rows:
        assert set(row.scores) == set(SCORES)
        assert row.width == 64
        assert row.milliseconds > 0
    assert (ranking.n_images, ranking.n_classes, ranking.classes_of_data) == (120, 10, 10)
    assert {row.name: round(row.megabytes, 2) for row in ranking.rows} == {
        "cifar_resnet20": 1.08,
        "cifar_resnet56": 3.43,
    }
    assert ranking.best.behind.value == 0


def test_the_front_holds_the_best_and_the_cheapest(ranking):
    assert ranking.best.on_front
    assert min(ranking.rows, key=lambda row: row.milliseconds).on_front


def test_it_is_the_public_door():
    assert ncapps.rank_backbones is rank_backbones


def test_the_table_and_the_json_tell_the_same(ranking):
    lines = ranking.to_table().split("\n")
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split()[0] == "backbone"
    data = json.loads(json.dumps(ranking.as_dict()))
    assert [row["name"] for row in data["rows"]] == [line.split()[0] for line in lines[1:]]
    assert data["recommendation"] == str(ranking).split("\n")[-1]
    first = data["rows"][0]["scores"]["held_out_classes"]
    assert first["low"] <= first["value"] <= first["high"]
    assert {"base", "new"} <= set(first)


def test_ready_features_score_as_the_network_does(digits, nets, ranking):
    extractor = FeatureExtractor(nets["cifar_resnet20"], progress=False, workers=0)
    features = extractor.extract(digits)
    found = rank_backbones({"ready": features, "matrix": features.values}, digits, **QUICK)
    expected = next(row for row in ranking.rows if row.name == "cifar_resnet20")
    for row in found.rows:
        for name in set(SCORES) - {"ncti"}:
            assert row.scores[name].value == pytest.approx(expected.scores[name].value, rel=1e-3), name
        assert row.milliseconds is None
    alone = rank_backbones({"ready": features}, **QUICK)
    assert alone.best.scores["knn"].value == found.rows[0].scores["knn"].value


def test_a_cache_gives_the_same_again_without_the_network(digits, nets, tmp_path, monkeypatch):
    first = rank_backbones(nets, digits, cache=tmp_path, scores=["knn"], **QUICK)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr("ncapps.features.runtime.Runtime._run", lambda *_: torch.full((8, 64), torch.nan))
    again = rank_backbones(nets, digits, cache=tmp_path, scores=["knn"], **QUICK)
    assert [row.scores["knn"].value for row in again.rows] == [row.scores["knn"].value for row in first.rows]


def test_rivals_do_not_change_an_absolute_score(digits, nets, ranking):
    alone = rank_backbones([nets["cifar_resnet20"]], digits, **QUICK).best
    among = next(row for row in ranking.rows if row.name == "cifar_resnet20")
    for name, score in SCORES.items():
        if score.compare is None:
            assert alone.scores[name].value == pytest.approx(among.scores[name].value, rel=1e-6), name


def test_constant_features_come_last_and_leave_the_json_valid(clouds):
    features, codes = clouds()
    found = rank_backbones({"constant": np.ones_like(features), "good": features}, labels=codes)
    assert [row.name for row in found.rows] == ["good", "constant"]
    assert found.rows[1].told_from_best
    data = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert data["rows"][1]["scores"]["nc1"]["value"] is None


def test_two_classes_are_ranked_by_leaving_images_out(clouds):
    features, codes = clouds(n_classes=2)
    found = rank_backbones({"a": features, "b": -features}, labels=codes)
    assert found.primary == "loo_accuracy"
    assert "held_out_classes" not in found.best.scores
    assert found.columns[0] == "loo_accuracy"


def test_unreadable_images_are_told_and_left_out_of_all(tmp_path, nets):
    from PIL import Image

    random = np.random.default_rng(0)
    for place in range(24):
        (tmp_path / f"c{place % 4}").mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(tmp_path / f"c{place % 4}/{place}.png")
    (tmp_path / "c0" / "broken.png").write_bytes(b"no image")
    ready = random.normal(size=(25, 5))
    found = rank_backbones({**nets, "ready": ready}, tmp_path, **QUICK)
    assert [entry.key for entry in found.skipped] == ["c0/broken.png"]
    assert found.n_images == 24
    row = next(row for row in found.rows if row.name == "ready")
    keep = [place for place, key in enumerate(open_images(tmp_path).keys) if key != "c0/broken.png"]
    labels = np.asarray(open_images(tmp_path).labels)[keep]
    alone = rank_backbones({"ready": ready[keep]}, labels=labels, **QUICK).best
    assert row.scores["logme"].value == pytest.approx(alone.scores["logme"].value)


class TestCandidates:
    def test_a_plain_module_and_a_trained_file_and_a_spec(self, tmp_path, caplog):
        module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 224 * 224, 4), nn.ReLU(), nn.Linear(4, 2))
        with caplog.at_level(logging.ERROR):
            found = as_candidates([module, BackboneSpec(name="cifar_resnet20")])
        assert [one.name for one in found] == ["Sequential", "cifar_resnet20"]
        assert found[1].open().backbone.feature_dim == 64

    @pytest.mark.parametrize(
        ("candidates", "words"),
        [
            ([], "one backbone or more, but none came"),
            ("resnet18", "put it in a list"),
            (["resnet18"], "no weights of resnet18 on this machine"),
            (["resnet18x"], "did you mean"),
            ([np.zeros((2, 2))], "has no name of its own, so candidates must be a mapping"),
            ([BackboneSpec(name="cifar_resnet20")] * 2, "two candidates are called 'cifar_resnet20'"),
            ({"mine": 7}, "candidate 'mine' is a int"),
            ({"mine": np.zeros((6, 2)), "net": BackboneSpec(name="cifar_resnet20")}, "'net' is a network, so images"),
            ({"mine": np.zeros((5, 2))}, "features of 'mine' have 5 rows, but there are 6 images"),
        ],
    )
    def test_bad_ones_are_told(self, candidates, words):
        with pytest.raises(InputError, match=words):
            rank_backbones(candidates, labels=list("aabbcc"))

    def test_an_unknown_score_is_told(self):
        with pytest.raises(InputError, match="there is no score 'logmi'; did you mean 'logme'"):
            rank_backbones({"mine": np.zeros((6, 2))}, labels=list("aabbcc"), scores=["logmi"])

    def test_missing_labels_are_told(self, nets):
        with pytest.raises(InputError, match="neither images nor labels"):
            rank_backbones({"mine": np.zeros((6, 2))})
        with pytest.raises(InputError, match="has no class names"):
            rank_backbones(nets, np.zeros((6, 32, 32, 3), np.uint8))

    def test_features_of_other_images_are_told(self):
        one, other = (
            Features(values=np.zeros((2, 3), np.float32), keys=keys, labels=np.array(["a", "b"]))
            for keys in ("xy", "yx")
        )
        one, other = (Features(values=f.values, keys=tuple(f.keys), labels=f.labels) for f in (one, other))
        with pytest.raises(InputError, match="'second' are not of the same images"):
            rank_backbones({"first": one, "second": other})


def test_the_cost_leaves_the_classifier_out():
    backbone = Backbone(build_model(BackboneSpec(name="cifar_resnet20", num_classes=1000), seed=0))
    assert weight_bytes(backbone) == weight_bytes(Backbone(build_model(BackboneSpec(name="cifar_resnet20"), seed=0)))
    cost = measure_cost(FeatureExtractor(backbone, progress=False))
    assert 0.01 < cost.milliseconds < 1000
    assert cost.megabytes == pytest.approx(1.08, abs=0.01)
