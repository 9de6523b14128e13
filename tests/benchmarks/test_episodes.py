"""Episodes: drawn without replacement, each class and image as likely as the others, the same for one seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncapps.benchmarks.episodes import EpisodeSettings, draw_episodes, draw_prefixes
from ncapps.errors import InputError

UNEVEN = np.repeat(["ant", "bee", "cat", "dog", "eel", "fox"], [40, 31, 90, 25, 60, 33])


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    ways=st.integers(2, 6),
    shots=st.integers(1, 5),
    concentration=st.sampled_from([None, 0.3, 2.0]),
)
def test_an_episode_holds_its_classes_images_each_once(seed, ways, shots, concentration):
    order = np.random.default_rng(seed).permutation(len(UNEVEN))
    labels = UNEVEN[order]
    drawn = draw_episodes(
        labels,
        EpisodeSettings(episodes=40, ways=ways, shots=shots, queries=6, concentration=concentration, seed=seed),
    )
    assert len(drawn) == 40
    assert drawn.support.shape == (40, ways, shots)
    assert drawn.queries.shape == drawn.truth.shape == (40, 6 * ways)
    assert all(len(set(row)) == ways for row in drawn.classes.tolist())
    assert (labels[drawn.support] == drawn.classes[..., None]).all()
    assert (labels[drawn.queries] == np.take_along_axis(drawn.classes, drawn.truth, axis=1)).all()
    rows = np.concatenate([drawn.support.reshape(40, -1), drawn.queries], axis=1)
    assert all(len(set(row)) == len(row) for row in rows.tolist())
    if concentration is None:
        assert (np.sort(drawn.truth, axis=1) == np.repeat(np.arange(ways), 6)).all()


def test_one_seed_gives_one_draw_and_another_another():
    first, again, other = (draw_episodes(UNEVEN, EpisodeSettings(episodes=50, seed=seed)) for seed in (1, 1, 2))
    for part in ("classes", "support", "queries", "truth"):
        assert np.array_equal(getattr(first, part), getattr(again, part))
    assert not np.array_equal(first.support, other.support)


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    draw_episodes(UNEVEN, EpisodeSettings(episodes=5))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_every_class_and_every_image_of_a_class_is_as_likely():
    drawn = draw_episodes(UNEVEN, EpisodeSettings(episodes=20_000, ways=3, shots=1, queries=4))
    names, counts = np.unique(drawn.classes, return_counts=True)
    assert len(names) == 6
    assert np.abs(counts - 10_000).max() < 5 * np.sqrt(20_000 * 0.25)
    for rows in (drawn.support.ravel(), drawn.queries.ravel()):
        taken = np.bincount(rows, minlength=len(UNEVEN))
        for name in names:
            mine = taken[name == UNEVEN]
            # The spread of counts of equally likely images, not more and not less.
            assert 0.5 < mine.var() / mine.mean() < 1.6


def test_prefixes_are_those_of_uniform_orders():
    found = draw_prefixes(np.full(24_000, 4), 4, np.random.default_rng(0))
    orders, counts = np.unique(found, axis=0, return_counts=True)
    assert len(orders) == 24
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)
    sizes = np.array([2, 7])
    long = draw_prefixes(sizes, 5, np.random.default_rng(1))
    assert sorted(long[0][:2]) == [0, 1]
    assert (long[0][2:] >= 2).all()
    assert len(set(long[1])) == 5


def test_dirichlet_queries_have_the_laws_mean_and_spread():
    labels = np.repeat(np.arange(8), 200)
    drawn = draw_episodes(labels, EpisodeSettings(episodes=4000, concentration=2.0, shots=1))
    shares = (drawn.truth[..., None] == np.arange(5)).mean(axis=1)
    assert np.allclose(shares.mean(axis=0), 0.2, atol=0.01)
    # A Dirichlet share of mean m has the variance m (1 - m) / (ways concentration + 1).
    assert np.allclose(shares.var(axis=0), 0.2 * 0.8 / 11, rtol=0.15)


def test_a_class_without_room_is_given_no_more_queries_than_it_has():
    labels = np.repeat(np.arange(5), [21, 22, 80, 80, 80])
    drawn = draw_episodes(labels, EpisodeSettings(episodes=500, concentration=1.0))
    counts = (drawn.truth[..., None] == np.arange(5)).sum(axis=1)
    room = np.array([21, 22, 80, 80, 80])[drawn.classes] - 5
    assert (counts <= room).all()
    assert (counts.sum(axis=1) == 75).all()
    assert counts.max() > 30


def test_errors_name_the_class_and_the_mend():
    with pytest.raises(InputError, match="5-way episodes need 5 classes or more, but the labels name 2"):
        draw_episodes(["a"] * 30 + ["b"] * 30)
    with pytest.raises(InputError, match=r"class 'dog' has 25 image\(s\), but an episode takes 5 \+ 21 of a class"):
        draw_episodes(UNEVEN, EpisodeSettings(queries=21))
    with pytest.raises(InputError, match="the classes are too small for unbalanced queries: 5 ways share 75"):
        draw_episodes(np.repeat(np.arange(5), 20), EpisodeSettings(concentration=2.0))
    for name, value in {"episodes": 0, "ways": 1, "shots": 0, "queries": 0}.items():
        with pytest.raises(InputError, match=f"{name} must be"):
            EpisodeSettings(**{name: value})
    with pytest.raises(InputError, match="concentration must be above 0, but 0 came; leave it out"):
        EpisodeSettings(concentration=0)
