"""Every episode method against a loop over episodes, and easyfsl's against its formulas and the package itself."""

import numpy as np
import pytest
import torch

from ncapps.benchmarks.episode_methods import EPISODE_METHODS, SEES_THE_BATCH, Base, one_by_one
from ncapps.benchmarks.episodes import EpisodeSettings, draw_episodes
from ncapps.fewshot.transductive import TRANSDUCTIVE
from ncapps.prototypes import cosine_scores, euclidean_scores, unit_rows

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(12), 20)
FEATURES = 1.0 + RNG.standard_normal((12, 24))[LABELS] + RNG.standard_normal((240, 24))
BASE = Base(FEATURES[:100], LABELS[:100])
DRAWN = draw_episodes(LABELS, EpisodeSettings(episodes=6, shots=3, queries=5))
SUPPORT, QUERIES = FEATURES[DRAWN.support], FEATURES[DRAWN.queries]


def cl2n(rows):
    return unit_rows(rows - FEATURES[:100].mean(axis=0))


# One episode at a time: support (ways, shots, width), queries (queries, width).
LOOPS = {
    "euclidean": lambda support, queries: euclidean_scores(queries, support.mean(axis=1)),
    "cosine": lambda support, queries: cosine_scores(
        queries - BASE.statistics.means.mean(axis=0), support.mean(axis=1) - BASE.statistics.means.mean(axis=0)
    ),
    "cl2n": lambda support, queries: euclidean_scores(cl2n(queries), cl2n(support).mean(axis=1)),
    "easyfsl ProtoNet": lambda support, queries: (
        -np.sqrt(-euclidean_scores(unit_rows(queries), unit_rows(support).mean(axis=1)))
    ),
    "easyfsl SimpleShot": lambda support, queries: cosine_scores(queries, unit_rows(support).mean(axis=1)),
    "bd_cspn": lambda *rows: assign("bd_cspn", *rows),
    "bd_cspn shifted": lambda *rows: assign("bd_cspn", *rows, shift=True),
    "laplacian": lambda *rows: assign("laplacian", *rows),
    "laplacian shifted": lambda *rows: assign("laplacian", *rows, shift=True),
    "sinkhorn uniform": lambda *rows: assign("sinkhorn", *rows, marginals="uniform"),
    "sinkhorn estimated": lambda *rows: assign("sinkhorn", *rows, marginals="estimated"),
}


def assign(name, support, queries, **options):
    return TRANSDUCTIVE[name](cl2n(queries), cl2n(support).mean(axis=1), np.full(5, 3), **options)


def test_every_method_has_a_loop_to_compare_with():
    assert set(LOOPS) == set(EPISODE_METHODS)
    assert set(EPISODE_METHODS) > SEES_THE_BATCH


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_episodes_side_by_side_are_as_each_alone(name):
    found = EPISODE_METHODS[name](BASE)(SUPPORT, QUERIES)
    for scores, support, queries in zip(found, SUPPORT, QUERIES, strict=True):
        assert np.allclose(scores, LOOPS[name](support, queries), atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(EPISODE_METHODS) - SEES_THE_BATCH))
def test_an_inductive_answer_does_not_depend_on_the_other_queries(name):
    method = EPISODE_METHODS[name](BASE)
    assert np.allclose(method(SUPPORT, QUERIES[:, :1]), method(SUPPORT, QUERIES)[:, :1], atol=1e-12)


@pytest.mark.parametrize("name", sorted(SEES_THE_BATCH))
def test_a_transductive_answer_does(name):
    method = EPISODE_METHODS[name](BASE)
    assert not np.allclose(method(SUPPORT, QUERIES[:, :9]), method(SUPPORT, QUERIES)[:, :9], atol=1e-3)


@pytest.mark.parametrize("name", sorted(EPISODE_METHODS))
def test_the_order_of_ways_makes_no_difference(name):
    method, order = EPISODE_METHODS[name](BASE), [3, 0, 4, 1, 2]
    assert np.allclose(method(SUPPORT[:, order], QUERIES), method(SUPPORT, QUERIES)[..., order], atol=1e-6)


def test_one_by_one_runs_a_metric_episode_by_episode():
    seen = []

    def metric(queries, prototypes, counts):
        seen.append(counts.tolist())
        return euclidean_scores(queries, prototypes)

    assert np.allclose(one_by_one(metric)(SUPPORT, QUERIES), EPISODE_METHODS["euclidean"](BASE)(SUPPORT, QUERIES))
    assert seen == [[3] * 5] * 6


def test_the_base_is_centered_on_all_its_images():
    uneven = Base(FEATURES[:70], LABELS[:70])
    assert np.allclose(uneven.center, FEATURES[:70].mean(axis=0))
    assert uneven.statistics.counts.tolist() == [20, 20, 20, 10]


@pytest.mark.parametrize(
    ("name", "theirs", "tolerance"),
    [("easyfsl ProtoNet", "PrototypicalNetworks", 1e-6), ("easyfsl SimpleShot", "SimpleShot", 1e-10)],
)
def test_easyfsls_methods_are_those_of_the_package(name, theirs, tolerance):
    peers = pytest.importorskip("easyfsl.methods", reason="pip install ncapps[bench] for the agreement with easyfsl")
    found = EPISODE_METHODS[name](BASE)(SUPPORT, QUERIES)
    for scores, support, queries in zip(found, SUPPORT, QUERIES, strict=True):
        peer = getattr(peers, theirs)(feature_normalization=2)
        peer.process_support_set(torch.tensor(support.reshape(15, -1)), torch.arange(5).repeat_interleave(3))
        assert np.abs(scores - peer(torch.tensor(queries)).numpy()).max() < tolerance


def test_one_shot_bd_cspn_names_images_as_easyfsls_does():
    peers = pytest.importorskip("easyfsl.methods", reason="pip install ncapps[bench] for the agreement with easyfsl")
    found = EPISODE_METHODS["bd_cspn shifted"](BASE)(SUPPORT[:, :, :1], QUERIES).argmax(axis=2)
    same = []
    for named, support, queries in zip(found, SUPPORT[:, :, :1], QUERIES, strict=True):
        peer = peers.BDCSPN(feature_centering=torch.tensor(BASE.center), feature_normalization=2)
        peer.process_support_set(torch.tensor(support[:, 0]), torch.arange(5))
        same.append(named == peer(torch.tensor(queries)).argmax(dim=1).numpy())
    # It rectifies with the shifted images but compares the others.
    assert np.mean(same) > 0.9
