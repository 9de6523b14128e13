import numpy as np
import pytest

from ncapps.transfer.knn_accuracy import knn_right


def slow(features, codes, neighbors):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    right = []
    for place in range(len(codes)):
        others = [(unit[place] @ unit[other], codes[other]) for other in range(len(codes)) if other != place]
        votes = np.zeros(codes.max() + 1)
        for cosine, code in sorted(others, reverse=True)[:neighbors]:
            votes[code] += np.exp(cosine / 0.07)
        right.append(votes.argmax() == codes[place])
    return right


@pytest.mark.parametrize("neighbors", [1, 5, 20, 10_000])
def test_it_is_the_vote_of_the_nearest_others(clouds, neighbors):
    features, codes = clouds(within=1.0)
    assert knn_right(features, codes, neighbors).tolist() == slow(features, codes, neighbors)


def test_blocks_change_nothing(clouds, monkeypatch):
    features, codes = clouds(within=1.0)
    whole = knn_right(features, codes)
    monkeypatch.setattr("ncapps.transfer.knn_accuracy._BLOCK", 7)
    np.testing.assert_array_equal(knn_right(features, codes), whole)


def test_a_row_of_zeros_is_no_trouble():
    assert knn_right(np.vstack([np.zeros(3), np.eye(3)]), np.array([0, 0, 1, 1]), 1).shape == (4,)
