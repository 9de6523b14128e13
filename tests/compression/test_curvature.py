"""The curvature is the Kronecker product written out, and solving undoes applying."""

import pytest
import torch

from ncapps.compression.curvature import Curvature


def moment(rows, seed, count=None):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn((*([count] if count else []), rows, 3 * rows), generator=generator)
    return values @ values.mT / (3 * rows)


@pytest.mark.parametrize("depthwise", [False, True])
def test_solving_undoes_applying(depthwise):
    curvature = Curvature(moment(6, 0, 4 if depthwise else None), moment(4, 1))
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(curvature.solve(curvature.apply(weight)), weight, atol=0.1)


def test_it_is_the_kronecker_product():
    inner, outer = moment(6, 0), moment(4, 1)
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
    got = Curvature(inner, outer).apply(weight).flatten()
    assert torch.allclose(got, torch.kron(outer, inner) @ weight.flatten(), atol=1e-5)


def test_depthwise_channels_are_taken_one_by_one():
    inner, outer = moment(6, 0, 4), moment(4, 1)
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
    curvature = Curvature(inner, outer)
    for channel in range(4):
        want = outer[channel, channel] * inner[channel] @ weight[channel]
        assert torch.allclose(curvature.apply(weight)[channel], want, atol=1e-5)
