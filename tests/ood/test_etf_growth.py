import numpy as np
import pytest

from ncapps.ood.etf_fit import learn_etf
from ncapps.ood.etf_growth import with_added
from ncapps.ood.etf_score import etf_score, raw_score
from ncapps.ood.linear_head import LinearHead
from ncapps.statistics import ClassStatistics


def world(seed=0, each=60, width=12):
    random = np.random.default_rng(seed)
    means = 2 + 6 * np.eye(width)[:5]
    X = np.repeat(means[:4], each, axis=0) + random.standard_normal((4 * each, width))
    found = ClassStatistics.from_features(X, np.repeat(np.arange(4), each))
    base = learn_etf(found, LinearHead.from_means(found), "means", np.zeros((0, width)), 0)
    return base, lambda n: means[4] + random.standard_normal((n, width)), X


def test_the_fitted_classes_keep_every_number():
    base, new, _ = world()
    grown = with_added(base, {9: new(5)})
    assert grown.classes == (0, 1, 2, 3, 9)
    for key in ("means", "whitened_means", "directions", "vertices", "shifts", "weight", "bias"):
        assert np.array_equal(grown[key][:4], base[key]), key
    for key in ("whitener", "medians", "spreads", "weights", "center"):
        assert grown[key] is base[key], key


def test_the_longer_vertex_gives_back_what_the_noise_of_five_images_takes():
    base, new, _ = world()
    fresh = new(4000)
    cosines = {}
    for shots in (5, 2000):
        grown = with_added(base, {9: new(shots)})
        offsets = fresh @ grown["whitener"].T - grown["whitened_center"]
        cosines[shots] = np.median(offsets @ grown["vertices"][4] / np.linalg.norm(offsets, axis=1))
    assert cosines[5] == pytest.approx(cosines[2000], rel=0.05)


def test_the_head_row_follows_the_mean_and_gives_it_a_known_classs_own_logit():
    base, new, _ = world()
    images = new(5)
    grown = with_added(base, {9: images})
    own = np.einsum("ij,ij->i", base["means"], base["weight"]) + base["bias"]
    assert images.mean(axis=0) @ grown["weight"][4] + grown["bias"][4] == pytest.approx(own.mean())
    offset, row = images.mean(axis=0) - base["center"], grown["weight"][4] - base["weight"].mean(axis=0)
    assert offset @ row == pytest.approx(np.linalg.norm(offset) * np.linalg.norm(row))


def test_images_near_an_added_class_are_raised_by_its_shift_alone():
    base, new, X = world()
    grown = with_added(base, {9: new(5)})
    fresh = np.concatenate([X[:20], new(50)])
    score, nearest = raw_score(grown, fresh)
    assert grown["shifts"][:4].tolist() == [0, 0, 0, 0]
    assert grown["shifts"][4] >= 0
    assert np.allclose(etf_score(grown, fresh), score + grown["shifts"][4] * (nearest == 4))


def test_wider_classes_are_shifted_more():
    base, new, _ = world()
    center = new(500).mean(axis=0)
    random = np.random.default_rng(3)
    noise = random.standard_normal((5, 12))
    tight, wide = (with_added(base, {9: center + width * noise})["shifts"][4] for width in (1.0, 3.0))
    assert wide > tight + 0.1


@pytest.mark.parametrize("shots", [1, 2, 40])
def test_any_number_of_images_will_do(shots):
    base, new, X = world()
    grown = with_added(base, {9: new(shots)})
    assert np.isfinite(etf_score(grown, X)).all()
