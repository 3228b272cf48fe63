import dense
import pytest
import torch
from torch import nn

from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.model import sequence_losses
from valleyscope.weights import select_parameters


def mlp_problem(rng):
    torch.manual_seed(int(torch.randint(2**31, (1,), generator=rng)))
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    x = torch.randn(9, 4, generator=rng, dtype=torch.float64)
    y = torch.randint(3, (9,), generator=rng)
    return model, lambda m, b: nn.functional.cross_entropy(m(b[0]), b[1], reduction="none"), (x, y)


def test_products_equal_the_dense_hessian_of_a_transformer(model, tokens, rng):
    H = dense.hessian(model, sequence_losses, tokens)
    operator = HessianOperator(model, sequence_losses, tokens)
    V = torch.randn(operator.size, 3, generator=rng, dtype=torch.float64)
    product = operator.matmat(V)
    assert (product - H @ V).norm() <= 1e-10 * (H @ V).norm()
    assert operator.matvecs == 3


def test_products_equal_the_dense_hessian_of_an_mlp(rng):
    model, loss_fn, batch = mlp_problem(rng)
    H = dense.hessian(model, loss_fn, batch)
    operator = HessianOperator(model, loss_fn, batch)
    v = torch.randn(operator.size, generator=rng, dtype=torch.float64)
    assert (operator.matvec(v) - H @ v).norm() <= 1e-10 * (H @ v).norm()


def test_uneven_batches_weigh_every_sample_alike(model, tokens, rng):
    whole = HessianOperator(model, sequence_losses, tokens)
    split = HessianOperator(model, sequence_losses, [tokens[:5], tokens[5:]])
    v = torch.randn(whole.size, generator=rng, dtype=torch.float64)
    torch.testing.assert_close(split.matvec(v), whole.matvec(v), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(split.gradient(), whole.gradient(), rtol=1e-10, atol=1e-12)
    assert split.loss == pytest.approx(whole.loss, rel=1e-12)


def test_parameter_patterns_give_the_diagonal_block(model, tokens, rng):
    patterns = ["blocks.*.attention.*"]
    operator = HessianOperator(model, sequence_losses, tokens, params=patterns)
    chosen, index, start = select_parameters(model, patterns), [], 0
    for name, p in select_parameters(model).items():
        if name in chosen:
            index += range(start, start + p.numel())
        start += p.numel()
    H = dense.hessian(model, sequence_losses, tokens)[index][:, index]
    v = torch.randn(operator.size, generator=rng, dtype=torch.float64)
    assert (operator.matvec(v) - H @ v).norm() <= 1e-10 * (H @ v).norm()


def test_gradient_and_loss(model, tokens):
    operator = HessianOperator(model, sequence_losses, tokens)
    truth = dense.gradient(model, sequence_losses, tokens)
    torch.testing.assert_close(operator.gradient(), truth, rtol=1e-10, atol=1e-13)
    assert operator.loss == pytest.approx(sequence_losses(model, tokens).mean().item(), rel=1e-12)


def test_fused_attention_is_replaced_by_one_that_has_a_second_derivative(rng):
    class Fused(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(4, 12, bias=False)

        def forward(self, x):
            q, k, v = self.qkv(x).chunk(3, dim=-1)
            return nn.functional.scaled_dot_product_attention(q, k, v)

    model = Fused().double()
    x = torch.randn(3, 2, 5, 4, generator=rng, dtype=torch.float64)
    operator = HessianOperator(model, lambda m, b: m(b).square().mean((1, 2, 3)), x)
    v = torch.randn(operator.size, generator=rng, dtype=torch.float64)
    u = torch.randn(operator.size, generator=rng, dtype=torch.float64)
    assert u @ operator.matvec(v) == pytest.approx((v @ operator.matvec(u)).item(), rel=1e-9)


def test_bad_input_is_named(model, tokens):
    with pytest.raises(InputError, match="one loss a sample"):
        HessianOperator(model, lambda m, b: sequence_losses(m, b).mean(), tokens[:1])
    with pytest.raises(ValueError, match="the operator needs"):
        HessianOperator(model, sequence_losses, tokens).matvec(torch.zeros(3))
    with pytest.raises(ValueError, match="matches"):
        HessianOperator(model, sequence_losses, tokens, params=["no.such.*"])
    with torch.no_grad():
        model.head.weight[0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match="loss"):
        HessianOperator(model, sequence_losses, tokens)
