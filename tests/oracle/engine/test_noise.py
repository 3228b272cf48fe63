import dense
import pytest
import torch
from torch import nn

from valleyscope.engine.noise import GradientCovariance, mean_square, scores
from valleyscope.models.model import sequence_losses


def one_by_one(model, tokens):
    return torch.stack([dense.gradient(model, sequence_losses, row[None]) for row in tokens])


def test_scores_are_the_gradients_of_single_samples(model, tokens):
    found = scores(model, sequence_losses, tokens)
    torch.testing.assert_close(found, one_by_one(model, tokens), rtol=1e-10, atol=1e-13)
    some = scores(model, sequence_losses, tokens, params=["head.*"])
    torch.testing.assert_close(some, found[:, -some.shape[1] :])


def test_the_mean_square_is_taken_in_parts(model, tokens, rng, monkeypatch):
    monkeypatch.setattr("valleyscope.engine.noise.SCORES_AT_ONCE", 3)
    rows = one_by_one(model, tokens)
    assert mean_square(model, sequence_losses, tokens) == pytest.approx(rows.square().sum(1).mean().item())
    shift = torch.randn(rows.shape[1], generator=rng, dtype=torch.float64)
    truth = (rows + shift).square().sum(1).mean().item()
    assert mean_square(model, sequence_losses, tokens, shift) == pytest.approx(truth, rel=1e-10)


@pytest.mark.parametrize("options", [{}, {"keep_graph": False}, {"memory_budget": 2.0e5}])
def test_products_equal_the_dense_covariance(model, tokens, rng, options):
    truth = torch.cov(one_by_one(model, tokens).T, correction=0)
    operator = GradientCovariance(model, sequence_losses, tokens, **options)
    V = torch.randn(operator.size, 3, generator=rng, dtype=torch.float64)
    assert (operator.matmat(V) - truth @ V).norm() <= 1e-10 * (truth @ V).norm()
    torch.testing.assert_close(operator.gradient(), dense.gradient(model, sequence_losses, tokens))
    assert operator.loss == pytest.approx(sequence_losses(model, tokens).mean().item())


def test_a_block_of_parameters(model, tokens, rng):
    truth = torch.cov(one_by_one(model, tokens).T, correction=0)
    operator = GradientCovariance(model, sequence_losses, tokens, params=["embedding.*"])
    v = torch.randn(operator.size, generator=rng, dtype=torch.float64)
    product = operator.matvec(v)
    torch.testing.assert_close(product, truth[: operator.size, : operator.size] @ v)
    assert not product.requires_grad
    assert not operator.gradient().requires_grad


def test_minibatch_gradients_have_this_covariance_over_b(rng):
    model = nn.Linear(3, 1).double()
    x = torch.randn(6, 3, generator=rng, dtype=torch.float64)
    loss_fn = lambda m, b: m(b)[:, 0].square()  # noqa: E731
    operator = GradientCovariance(model, loss_fn, x)
    eye = torch.eye(4, dtype=torch.float64)
    rows = scores(model, loss_fn, x)
    drawn = rows[torch.randint(6, (200_000, 2), generator=rng)].mean(1)  # B = 2, with replacement
    expected = operator.matmat(eye) / 2
    assert (torch.cov(drawn.T) - expected).abs().max() <= 0.03 * expected.abs().max()
