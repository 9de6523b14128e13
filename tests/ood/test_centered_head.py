import numpy as np

from ncapps.ood.centered_head import divided


def test_an_image_at_the_mean_scores_nothing():
    assert divided(np.array([3.0, 0.0]), np.array([2.0, 0.0])).tolist() == [1.5, 0.0]
