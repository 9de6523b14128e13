"""Conjugate gradients: the damped system's exact answer after as many iterations as it has unknowns."""

import pytest
import torch

from ncapps.compression.conjugate_gradients import DAMPING, conjugate_gradients


class Diagonal:
    """A preconditioner that knows the diagonal."""

    def __init__(self, matrix):
        self.diagonal = matrix.diagonal()

    def apply(self, weight):
        return self.diagonal * weight

    def solve(self, weight):
        return weight / self.diagonal


def system(size=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    matrix = root @ root.T + torch.diag(torch.logspace(0, 2, size, dtype=torch.float64))
    return matrix, torch.randn(size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(3))
def test_as_many_iterations_as_unknowns_solve_the_damped_system(seed):
    matrix, residual = system(seed=seed)
    step = conjugate_gradients(lambda weight: matrix @ weight, residual, Diagonal(matrix), len(residual))
    damped = matrix + DAMPING * torch.diag(matrix.diagonal())
    assert torch.allclose(step, torch.linalg.solve(damped, residual), rtol=1e-3)


def test_each_iteration_lowers_the_quadratic():
    matrix, residual = system()
    damped = matrix + DAMPING * torch.diag(matrix.diagonal())
    values = []
    for iterations in range(5):
        step = conjugate_gradients(lambda weight: matrix @ weight, residual, Diagonal(matrix), iterations)
        values.append(float(step @ damped @ step / 2 - residual @ step))
    assert values[0] == 0
    assert all(after < before for before, after in zip(values, values[1:], strict=False))


def test_where_nothing_is_wrong_no_step_is_taken():
    matrix, residual = system()
    step = conjugate_gradients(lambda weight: matrix @ weight, 0 * residual, Diagonal(matrix), 4)
    assert torch.equal(step, 0 * residual)
