import numpy as np
import pytest
from blobs import blobs

from ncapps.fewshot import PrototypeClassifier
from ncapps.fewshot.rehearsed import Rehearsed, own_and_others, rehearsed_of_scores


def drawn(classes=300, each=30, others=4, seed=0):
    """Return scores at 1 and at 5 images: own ones of 2 and 3 on average, others' of 0, and the images' classes."""
    random = np.random.default_rng(seed)
    names = np.repeat(np.arange(classes), each)
    level = 0.5 * random.standard_normal(classes)[names]
    scores = []
    for mean in (2.0, 3.0):
        own = mean + level + 1.5 * random.standard_normal(len(names))
        scores.append((own, np.tile(np.linspace(-1, 1, others), (len(names), 1)) - level[:, None]))
    return scores, names


def test_means_and_variances_are_those_that_were_put_in():
    scores, names = drawn()
    told = Rehearsed.of(scores, names)
    assert told.lead == pytest.approx((2, 3), abs=0.15)
    # The rival's score is 1 less the class's level, so the margins vary twice as much between classes.
    assert told.margin == pytest.approx((1, 2), abs=0.15)
    assert [*told.margin_within, *told.lead_within] == pytest.approx([2.25] * 4, rel=0.05)
    assert [*told.margin_between, *told.lead_between] == pytest.approx([1] * 4, rel=0.25)
    assert (told.rival, told.rival_between) == pytest.approx((1, 0.25), abs=0.1)
    assert told.rival_within == pytest.approx(0, abs=1e-12)
    assert told.margin_with_rival == pytest.approx((-0.5, -0.5), abs=0.15)
    assert told.lowest == pytest.approx((-2.33, -2.33), abs=0.15)


def test_a_pair_is_straight_in_one_by_the_number_of_images():
    told = Rehearsed.of(*drawn())
    first, last = told.margin
    assert told.at("margin", [1, 5]).tolist() == pytest.approx([first, last])
    assert float(told.at("margin", 1e9)) == pytest.approx(last + (last - first) / 4)
    steep = Rehearsed(**{**vars(told), "lead_within": (9.0, 1.0)})
    assert float(steep.at("lead_within", 1e9)) == pytest.approx(0.1)


def test_a_class_near_its_rivals_is_foretold_a_smaller_margin():
    told = Rehearsed.of(*drawn())
    near, usual = (told.margin_prior(rival, 5)[0] for rival in (told.rival + 0.5, told.rival))
    assert usual == pytest.approx(told.margin[1])
    # What a class is above the rivals' level it lacks twice in margin.
    assert usual - near == pytest.approx(1, abs=0.25)
    assert told.margin_prior(told.rival, 5)[1] < told.margin_between[1]


def test_each_row_is_parted_into_its_own_score_and_the_others():
    scores = np.arange(12.0).reshape(3, 4)
    own, others = own_and_others(scores, np.array([1, 0, 3]))
    assert own.tolist() == [1, 4, 11]
    assert others.tolist() == [[0, 2, 3], [5, 6, 7], [8, 9, 10]]


def test_only_hidden_classes_are_told_of():
    random = np.random.default_rng(0)
    codes = [np.array([0, 1, 2, 2, 3, 3]), np.array([1, 2, 2, 2, 3, 3])]
    shots = [[random.standard_normal((6, 4)) for _ in codes] for _ in range(2)]
    told = rehearsed_of_scores(shots, codes, visible=2)
    for place, count in enumerate((4, 5)):
        shots[0][place][:-count] = np.nan
    again = rehearsed_of_scores(shots, codes, visible=2)
    assert told == again
    assert rehearsed_of_scores(shots, [np.array([0])], visible=1) is None


def test_the_fit_keeps_it_and_so_does_the_file(tmp_path):
    X, y = blobs(classes=6, spread=1.0)
    classifier = PrototypeClassifier().fit(X, y)
    assert isinstance(classifier.rehearsed_, Rehearsed)
    classifier.save(tmp_path / "c")
    assert PrototypeClassifier.load(tmp_path / "c").rehearsed_ == classifier.rehearsed_
    assert PrototypeClassifier(knobs={}, temperature=1.0).fit(X, y).rehearsed_ is None
