"""Dense float64 truth: Hessians by torch.func, independent of the product under test."""

import torch
from torch import nn

from valleyscope.engine.operators import Operator
from valleyscope.engine.weights import flat_weights, losses_at


def hessian(model, loss_fn, batch):
    """∇² of the mean loss (N, N) by forward-over-reverse."""
    losses = losses_at(model, loss_fn)
    return torch.func.hessian(lambda w: losses(w, batch).mean())(flat_weights(model))


def gradient(model, loss_fn, batch):
    """∇ of the mean loss (N,)."""
    losses = losses_at(model, loss_fn)
    return torch.func.grad(lambda w: losses(w, batch).mean())(flat_weights(model))


def mlp_problem(rng):
    """A small smooth classifier, its loss, and nine samples."""
    torch.manual_seed(int(torch.randint(2**31, (1,), generator=rng)))
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    x = torch.randn(9, 4, generator=rng, dtype=torch.float64)
    y = torch.randint(3, (9,), generator=rng)
    return model, lambda m, b: nn.functional.cross_entropy(m(b[0]), b[1], reduction="none"), (x, y)


class MatrixOperator(Operator):
    """A symmetric matrix as an operator."""

    def __init__(self, matrix):
        self.matrix, self.size = matrix, len(matrix)
        self.dtype, self.device = matrix.dtype, matrix.device

    def _matmat(self, V):
        return self.matrix @ V


class OnceDifferentiable(torch.autograd.Function):
    """2 x with a backward pass that has no graph: curvature below it is quietly lost."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return 2 * gradient
