"""`KNN` and `NNGuide` against pytorch-ood, which is right on both where no feature is zero and k fits the bank."""

import numpy as np
import pytest
import torch

from ncapps.ood.knn import KNN
from ncapps.ood.nn_guide import NNGuide

peers = pytest.importorskip("pytorch_ood.detector")


def images(seed):
    random = np.random.default_rng(seed)
    centers = 2 * np.random.default_rng(99).standard_normal((5, 24))
    y = np.repeat(np.arange(5), 60)
    return (centers[y] + random.standard_normal((300, 24))).astype(np.float32), y


@pytest.mark.parametrize("k", [1, 50, 300])
def test_knn_is_the_square_of_theirs_negated(k):
    X, y = images(0)
    queries = images(1)[0]
    peer = peers.KNN(None, k=k).fit_features(torch.from_numpy(X), torch.from_numpy(y))
    expected = -(peer.predict_features(torch.from_numpy(queries)).numpy() ** 2)
    assert np.allclose(KNN(k=k).fit(X, y).score_samples(queries), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("k", [1, 10, 300])
def test_nn_guide_is_theirs_negated(k):
    X, y = images(0)
    queries = images(1)[0]
    torch.manual_seed(0)
    head = torch.nn.Linear(24, 5)
    peer = peers.NNGuide(None, head, k=k).fit_features(torch.from_numpy(X), torch.from_numpy(y))
    expected = -peer.predict_features(torch.from_numpy(queries)).numpy()
    scores = NNGuide(k=k, alpha=1.0).fit(X, y, head=head).score_samples(queries)
    assert np.allclose(scores, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
