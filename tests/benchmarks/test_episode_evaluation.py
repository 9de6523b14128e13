"""The evaluation over episodes: its figures are right where they are known, and its intervals cover."""

import numpy as np
import pytest

from ncapps.benchmarks import episode_evaluation
from ncapps.benchmarks.episode_evaluation import EpisodeResult, evaluate_episodes, half_width, paired_difference
from ncapps.benchmarks.episode_methods import EPISODE_METHODS, Base
from ncapps.benchmarks.episodes import EpisodeSettings, draw_episodes
from ncapps.errors import InputError


def world(classes=30, images=40, width=16, noise=1.5, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), images)
    return rng.standard_normal((classes, width))[labels] + noise * rng.standard_normal((len(labels), width)), labels


def result(accuracies):
    return EpisodeResult(accuracies=np.asarray(accuracies), seconds=0.0, processor_seconds=0.0)


def test_accuracies_are_the_share_of_queries_named_right():
    features, labels = world(classes=6)
    episodes = draw_episodes(labels, EpisodeSettings(episodes=8, ways=4))

    def names_all_the_first_way(support, queries):
        return np.broadcast_to([1.0, 0, 0, 0], (*queries.shape[:2], 4))

    found = evaluate_episodes(features, episodes, {"first": names_all_the_first_way})["first"]
    assert found.accuracies.tolist() == [0.25] * 8
    assert (found.mean, found.half_width) == (0.25, 0.0)
    assert found.seconds > 0


def test_blocks_make_no_difference_and_bound_what_a_method_is_given(monkeypatch):
    features, labels = world()
    episodes = draw_episodes(labels, EpisodeSettings(episodes=30, shots=2))
    methods = {name: make(Base(features, labels)) for name, make in EPISODE_METHODS.items()}
    whole = evaluate_episodes(features, episodes, methods)
    sizes = []
    methods["seen"] = lambda support, queries: sizes.append(len(support)) or np.zeros((*queries.shape[:2], 5))
    monkeypatch.setattr(episode_evaluation, "_BLOCK", 7 * 85 * 16 * 8)
    parts = evaluate_episodes(features, episodes, methods)
    assert sizes == [7, 7, 7, 7, 2]
    for name in EPISODE_METHODS:
        assert np.allclose(parts[name].accuracies, whole[name].accuracies, atol=1e-12), name


def test_float32_and_lists_and_tensors_are_taken():
    torch = pytest.importorskip("torch")
    features, labels = world(classes=5)
    episodes = draw_episodes(labels, EpisodeSettings(episodes=5))
    methods = {"euclidean": EPISODE_METHODS["euclidean"](Base(features, labels))}
    single = features.astype(np.float32)
    expected = evaluate_episodes(single, episodes, methods)["euclidean"].accuracies
    for kind in (single.tolist(), torch.tensor(single)):
        assert np.array_equal(evaluate_episodes(kind, episodes, methods)["euclidean"].accuracies, expected)


def test_the_interval_is_the_stated_one():
    values = [0.2, 0.4, 0.9]
    deviation = np.sqrt(np.mean((np.array(values) - 0.5) ** 2))
    assert half_width(np.array(values)) == pytest.approx(1.96 * deviation / np.sqrt(3))


def test_intervals_cover_the_mean_over_many_episodes():
    features, labels = world(noise=2.5)
    methods = {"euclidean": EPISODE_METHODS["euclidean"](Base(features, labels))}
    every = draw_episodes(labels, EpisodeSettings(episodes=30_000, shots=1, seed=99))
    truth = evaluate_episodes(features, every, methods)["euclidean"].mean
    hits = 0
    for seed in range(200):
        episodes = draw_episodes(labels, EpisodeSettings(episodes=60, shots=1, seed=seed))
        found = evaluate_episodes(features, episodes, methods)["euclidean"]
        hits += abs(found.mean - truth) <= found.half_width
    # 190 expected with a deviation of 3.
    assert 180 <= hits <= 199


def test_differences_are_paired():
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.2, 0.9, 500)
    one, other = result(hard + 0.01 + 0.001 * rng.standard_normal(500)), result(hard)
    mean, half = paired_difference(one, other)
    assert mean == pytest.approx(0.01, abs=0.001)
    assert half < 0.001 < one.half_width
    assert paired_difference(other, other) == (0.0, 0.0)


def test_ten_thousand_episodes_take_seconds():
    features, labels = world(classes=20, images=50, width=512)
    episodes = draw_episodes(labels, EpisodeSettings(episodes=500))
    methods = {name: EPISODE_METHODS[name](Base(features, labels)) for name in ("euclidean", "cosine")}
    found = evaluate_episodes(features, episodes, methods)
    # Processor time, which other work on the machine leaves alone: 10 s are for 10,000, so half a second for 500.
    assert all(0 < one.processor_seconds < 0.5 for one in found.values())


def test_errors_name_the_cause():
    features, labels = world(classes=5)
    episodes = draw_episodes(labels, EpisodeSettings(episodes=3))
    with pytest.raises(InputError, match=r"the episodes name row \d+, but there are 50 images; were they drawn from"):
        evaluate_episodes(features[:50], episodes, {})
    with pytest.raises(InputError, match=r"odd gave scores of shape \(3, 75\), but .* is \(3, 75, 5\)"):
        evaluate_episodes(features, episodes, {"odd": lambda support, queries: np.zeros(queries.shape[:2])})
    with pytest.raises(InputError, match="odd gave a score that is no number"):
        evaluate_episodes(features, episodes, {"odd": lambda s, q: np.full((*q.shape[:2], 5), np.nan)})
