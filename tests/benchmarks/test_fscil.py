"""Laws of the FSCIL protocol: sessions nest, shots alone are seen, figures are sample means."""

import dataclasses

import numpy as np
import pytest
from fscil_world import NAMES, SESSIONS, make_run
from hypothesis import given
from hypothesis import strategies as st

from ncapps.benchmarks.fscil import accuracies, draw_shots, harmonic_mean, run_draw
from ncapps.benchmarks.fscil_heads import make_head
from ncapps.errors import InputError

unit_floats = st.floats(0, 1)


class Witness:
    """A head that only takes notes; it names the first class it was ever told of."""

    def __init__(self):
        self.seen, self.asked = [], []

    def fit(self, base):
        self.names = [*np.unique(base.labels)]
        return self

    def add(self, features, labels):
        self.seen.append((features, labels))
        self.names += [*np.unique(labels)]
        WITNESSED.append((features, labels, list(self.names)))

    def predict(self, features):
        ASKED.append(len(features))
        return np.repeat(self.names[0], len(features))


WITNESSED, ASKED = [], []


@pytest.fixture(autouse=True)
def forget():
    WITNESSED.clear()
    ASKED.clear()


@given(unit_floats, unit_floats)
def test_the_harmonic_mean_lies_between_its_parts_and_below_their_mean(base, new):
    found = float(harmonic_mean(np.asarray(base), np.asarray(new)))
    assert min(base, new) - 1e-12 <= found <= (base + new) / 2 + 1e-12 or base + new == 0
    assert found == float(harmonic_mean(np.asarray(new), np.asarray(base)))


@given(st.integers(0, 2**32 - 1))
def test_all_is_the_mean_of_base_and_new_weighted_by_their_images(seed):
    rng = np.random.default_rng(seed)
    arrival = np.array([0] * 6 + [1] * 3 + [2] * 4)
    hits = (rng.random((3, 13)) < 0.6) & (arrival <= np.arange(3)[:, None])
    found = accuracies(hits, arrival)
    news = np.array([0, 3, 7])
    expected = (6 * found["base"] + news * np.nan_to_num(found["new"])) / (6 + news)
    np.testing.assert_allclose(found["all"], expected)
    assert np.isnan(found["new"][0])
    assert np.isnan(found["harmonic"][0])


def test_images_of_classes_yet_to_come_do_not_count():
    arrival = np.array([0, 0, 1])
    few, many = (accuracies(np.array([[1, 0, later], [1, 1, 1]], dtype=bool), arrival) for later in (0, 1))
    np.testing.assert_array_equal(few["all"], many["all"])


def test_a_head_sees_the_shots_of_its_session_and_nothing_else():
    data = make_run()
    shots = draw_shots(data, 5, seed=3)
    run_draw(Witness().fit(data.base_session()), data, shots)
    assert len(WITNESSED) == 2
    for session, (features, labels, names) in enumerate(WITNESSED, 1):
        rows = np.concatenate([shots[name] for name in SESSIONS[session]])
        np.testing.assert_array_equal(features, data.pool[rows])
        np.testing.assert_array_equal(labels, data.pool_labels[rows])
        assert names == NAMES[: 6 + 3 * session]


def test_sessions_nest_and_base_images_are_always_asked():
    data = make_run()
    hits = run_draw(Witness().fit(data.base_session()), data, data.canonical)
    assert ASKED == [6 * 20, 9 * 20, 12 * 20]
    first = data.test_labels == NAMES[0]
    np.testing.assert_array_equal(hits, np.broadcast_to(first, hits.shape))


def test_what_is_learned_from_one_draw_stays_out_of_the_next():
    data = make_run()
    head = make_head("average-cosine").fit(data.base_session())
    first = run_draw(head, data, draw_shots(data, 5, seed=1))
    run_draw(head, data, draw_shots(data, 5, seed=2))
    np.testing.assert_array_equal(first, run_draw(head, data, draw_shots(data, 5, seed=1)))
    assert head.names.tolist() == NAMES[:6]


def test_draws_are_seeded_of_their_class_and_without_repeats():
    data = make_run()
    one, again, other = (draw_shots(data, 5, seed) for seed in (1, 1, 2))
    for name in NAMES[6:]:
        np.testing.assert_array_equal(one[name], again[name])
        assert len(set(one[name])) == 5
        assert set(data.pool_labels[one[name]]) == {name}
    assert any(one[name].tolist() != other[name].tolist() for name in one)


def test_a_draw_depends_on_its_own_class_alone():
    data = make_run()
    keep = np.ones(len(data.pool), dtype=bool)
    keep[np.flatnonzero(data.pool_labels == NAMES[6])[7:]] = False
    pool_labels = data.pool_labels[keep]
    canonical = {name: np.flatnonzero(pool_labels == name)[:5] for name in NAMES[6:]}
    fewer = dataclasses.replace(data, pool=data.pool[keep], pool_labels=pool_labels, canonical=canonical)
    one, other = draw_shots(data, 5, 1), draw_shots(fewer, 5, 1)
    for name in NAMES[7:]:
        np.testing.assert_array_equal(data.pool[one[name]], fewer.pool[other[name]])


def test_too_few_images_to_draw_from_are_named():
    with pytest.raises(InputError, match="has 15 training images, but 16 shots"):
        draw_shots(make_run(), 16, 0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"sessions": (tuple(NAMES[:6]), tuple(NAMES[5:9]), tuple(NAMES[9:]))}, "each class in only one"),
        ({"sessions": (tuple(NAMES[:5]), tuple(NAMES[5:9]), tuple(NAMES[9:]))}, "base images must be"),
        ({"canonical": {name: [0] for name in NAMES[6:]}}, "canonical shots of 'class 07'"),
        ({"canonical": {}}, "canonical shots of 'class 06'"),
        ({"test": np.zeros((3, 4))}, "has 4 features"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, text):
    with pytest.raises(InputError, match=text):
        make_run(**changes)
