import numpy as np
import pytest
from scipy.special import log_softmax

from ncapps.fewshot.temperature import class_spread, fit_image_temperature, fit_temperature, image_units


def scores_and_codes(images=4000, classes=5, seed=1):
    random = np.random.default_rng(seed)
    codes = random.integers(0, classes, images)
    logits = random.standard_normal((images, classes))
    logits[np.arange(images), codes] += 1.5
    return 7.0 * logits, codes


def loss(scores, codes, temperature):
    return -log_softmax(scores / temperature, axis=1)[np.arange(len(codes)), codes].mean()


def test_the_fitted_temperature_has_the_least_loss():
    scores, codes = scores_and_codes()
    best = fit_temperature([scores], [codes])
    assert loss(scores, codes, best) <= min(loss(scores, codes, best * factor) for factor in (0.5, 0.8, 1.25, 2.0))


def test_images_scored_among_other_classes_count_alike():
    scores, codes = scores_and_codes()
    halves = fit_temperature([scores[:1000], scores[1000:]], [codes[:1000], codes[1000:]])
    assert halves == pytest.approx(fit_temperature([scores], [codes]), rel=1e-3)
    fewer, own = scores_and_codes(classes=3, seed=2)
    both = fit_temperature([scores, fewer], [codes, own])
    total = [loss(scores, codes, both * factor) + loss(fewer, own, both * factor) for factor in (0.8, 1.0, 1.25)]
    assert np.argmin(total) == 1


def test_scaled_scores_scale_the_temperature():
    scores, codes = scores_and_codes(500, 3, 2)
    assert fit_temperature([100 * scores], [codes]) == pytest.approx(100 * fit_temperature([scores], [codes]), rel=1e-3)


def test_scores_without_any_spread_give_a_number():
    assert fit_temperature([np.zeros((4, 2))], [np.array([0, 1, 0, 1])]) > 0


def test_weights_are_as_good_as_copies():
    random = np.random.default_rng(0)
    scores, codes = random.normal(size=(30, 4)), random.integers(0, 4, 30)
    scores[np.arange(30), codes] += random.normal(1, 1, 30)
    copies = np.where(codes == 0, 3, 1)
    repeated = fit_temperature([np.repeat(scores, copies, axis=0)], [np.repeat(codes, copies)])
    assert fit_temperature([scores], [codes], [copies]) == pytest.approx(repeated, rel=1e-4)
    assert fit_temperature([scores], [codes]) != pytest.approx(repeated, rel=1e-3)


def test_a_unit_is_the_root_of_the_spread_and_one_for_the_typical_image():
    scores = np.array([[1.0, 2, 3], [4, 8, 12], [5, 5, 5]])
    typical = float(class_spread(scores)[0, 0])
    assert image_units(scores, typical).ravel()[:2] == pytest.approx([1.0, 2.0])
    assert 0 < image_units(scores, typical)[2, 0] < 0.1
    assert image_units(scores + 7, typical) == pytest.approx(image_units(scores, typical))
    # Two classes tell no spread, and where no temperature was fitted there is no typical one.
    assert image_units(scores[:, :2], typical) == image_units(scores, 0.0) == 1.0


def test_images_whose_gaps_are_larger_than_their_worth_are_tempered():
    random = np.random.default_rng(3)
    codes = random.integers(0, 6, 3000)
    scores = random.standard_normal((3000, 6))
    scores[np.arange(3000), codes] += 1.2
    scores *= random.choice([1.0, 9.0], (3000, 1))
    weights = [np.ones(3000)]
    temperature, typical = fit_image_temperature([scores], [codes], weights, 6)
    tempered = scores / image_units(scores, typical)
    assert loss(tempered, codes, temperature) < loss(scores, codes, fit_temperature([scores], [codes])) - 0.02
