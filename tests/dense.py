"""Dense float64 truth: Hessians by torch.func, independent of the product under test."""

import torch

from valleyscope.engine.weights import flat_weights, losses_at


def hessian(model, loss_fn, batch):
    """∇² of the mean loss (N, N) by forward-over-reverse."""
    losses = losses_at(model, loss_fn)
    return torch.func.hessian(lambda w: losses(w, batch).mean())(flat_weights(model))


def gradient(model, loss_fn, batch):
    """∇ of the mean loss (N,)."""
    losses = losses_at(model, loss_fn)
    return torch.func.grad(lambda w: losses(w, batch).mean())(flat_weights(model))


class MatrixOperator:
    """A symmetric matrix as an operator."""

    def __init__(self, matrix):
        self.matrix, self.size = matrix, len(matrix)
        self.dtype, self.device = matrix.dtype, matrix.device
        self.matvecs = 0

    def matvec(self, v):
        self.matvecs += 1
        return self.matrix @ v


class OnceDifferentiable(torch.autograd.Function):
    """2 x with a backward pass that has no graph: curvature below it is quietly lost."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return 2 * gradient
