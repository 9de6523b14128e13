import numpy as np
import pytest

from ncapps.ood.blocks import score_in_blocks


@pytest.mark.parametrize("rows", [0, 1, 1024, 1025, 20_000])
def test_blocks_come_back_in_order_and_none_is_large(rows):
    sizes = []

    def score(block):
        sizes.append(len(block))
        return 2 * block[:, 0]

    X = np.arange(3.0 * rows).reshape(rows, 3)
    assert np.array_equal(score_in_blocks(score, X), 2 * X[:, 0])
    assert max(sizes) <= 1024
