import dense
import pytest
import torch
from torch import nn

from valleyscope.engine.gauss_newton import FisherOperator, GaussNewtonOperator
from valleyscope.engine.memory import peak_allocated
from valleyscope.engine.weights import flat_weights, losses_at
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import sequence_losses


def logits(model, batch):
    return model(batch[:, :-1])


def token_losses(outputs, batch):
    losses = nn.functional.cross_entropy(outputs.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
    return losses.view(len(batch), -1).mean(1)


def jacobian(model, tokens):
    """∂ logits / ∂ w, (n, T, C, N)."""
    return torch.func.jacrev(losses_at(model, logits))(flat_weights(model), tokens)


def dense_gauss_newton(model, tokens):
    J = jacobian(model, tokens)
    p = logits(model, tokens).detach().softmax(-1)
    C = torch.diag_embed(p) - p[..., None] * p[..., None, :]  # ∂²(cross-entropy)/∂z² at one token
    return torch.einsum("ntci,ntcd,ntdj->ij", J, C, J) / (J.shape[0] * J.shape[1])


@pytest.mark.parametrize("options", [{}, {"keep_graph": False}, {"memory_budget": 2.0e5}])
def test_products_equal_the_dense_gauss_newton_matrix(model, tokens, rng, options):
    G = dense_gauss_newton(model, tokens)
    operator = GaussNewtonOperator(model, logits, token_losses, tokens, **options)
    V = torch.randn(operator.size, 3, generator=rng, dtype=torch.float64)
    assert (operator.matmat(V) - G @ V).norm() <= 1e-10 * (G @ V).norm()
    assert operator.matvecs == 3
    torch.testing.assert_close(operator.losses, sequence_losses(model, tokens).detach())
    torch.testing.assert_close(operator.gradient(), dense.gradient(model, sequence_losses, tokens))


def test_it_is_the_hessian_of_a_linear_model_with_squared_loss(rng):
    model = nn.Linear(4, 3).double()
    data = tuple(torch.randn(9, d, generator=rng, dtype=torch.float64) for d in (4, 3))
    square = lambda outputs, batch: (outputs - batch[1]).square().sum(1)  # noqa: E731
    gauss_newton = GaussNewtonOperator(model, lambda m, b: m(b[0]), square, data)
    hessian = HessianOperator(model, lambda m, b: square(m(b[0]), b), data)
    eye = torch.eye(hessian.size, dtype=torch.float64)
    torch.testing.assert_close(gauss_newton.matmat(eye), hessian.matmat(eye), rtol=1e-12, atol=1e-12)


def test_a_loss_linear_in_the_outputs_has_none(rng):
    model = nn.Linear(4, 3).double()
    x = torch.randn(9, 4, generator=rng, dtype=torch.float64)
    operator = GaussNewtonOperator(model, lambda m, b: m(b), lambda z, b: z.sum(1), x)
    assert (operator.matvec(torch.ones(operator.size, dtype=torch.float64)) == 0).all()


def test_layers_without_a_second_derivative_are_refused(rng):
    model = nn.Linear(4, 3).double()
    x = torch.randn(9, 4, generator=rng, dtype=torch.float64)
    with pytest.raises(InputError, match="differentiated twice"):
        GaussNewtonOperator(
            model, lambda m, b: dense.OnceDifferentiable.apply(m(b)), lambda z, b: z.square().sum(1), x
        )


def test_the_fisher_is_that_of_its_drawn_scores_and_stays_the_same(model, tokens, rng):
    options = [{}, {"keep_graph": False}]
    operators = [FisherOperator(model, logits, tokens, draws=2, seed=5, **o) for o in options]
    eye = torch.eye(operators[0].size, dtype=torch.float64)
    first, second = (o.matmat(eye) for o in operators)
    torch.testing.assert_close(first, second, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(operators[0].matmat(eye), first, rtol=0, atol=0)
    torch.testing.assert_close(first, first.T, rtol=1e-9, atol=1e-12)
    values = torch.linalg.eigvalsh(first)
    assert values[0] >= -1e-10 * values[-1]
    # 7 sequences, 6 tokens, 2 draws: as many rank-one terms.
    assert (values > 1e-10 * values[-1]).sum() <= 84
    p = logits(model, tokens).detach().softmax(-1)
    entropies = -(p * p.log()).sum(-1).mean(-1)
    torch.testing.assert_close(operators[0].losses, entropies)


def test_the_fisher_equals_gauss_newton_in_expectation(model, tokens, rng):
    G = dense_gauss_newton(model, tokens)
    V = torch.randn(len(G), 4, generator=rng, dtype=torch.float64)
    truth = (V * (G @ V)).sum(0)
    draws = torch.stack(
        [(V * FisherOperator(model, logits, tokens, seed=s).matmat(V)).sum(0) for s in range(150)]
    )
    error = draws.std(0) / 150**0.5
    assert ((draws.mean(0) - truth).abs() <= 5 * error).all()
    assert (error <= 0.15 * truth).all()  # so that the test can fail
    many = FisherOperator(model, logits, tokens, draws=400, seed=1).matmat(V)
    assert (many - G @ V).norm() <= 0.25 * (G @ V).norm()


def test_drawn_scores_have_mean_zero(model, tokens, rng):
    gradients = torch.stack([FisherOperator(model, logits, tokens, seed=s).gradient() for s in range(100)])
    along = gradients @ torch.randn(gradients.shape[1], 4, generator=rng, dtype=torch.float64)
    assert (along.mean(0).abs() <= 5 * along.std(0) / 10).all()
    assert (along.std(0) > 0).all()


def test_many_draws_stay_within_the_budget(rng):
    torch.manual_seed(0)
    model = nn.Linear(20, 100)
    x = torch.randn(200, 20, generator=rng)
    budget = 4.0e5
    operator = FisherOperator(model, lambda m, b: m(b), x, draws=20, memory_budget=budget)
    assert not operator.graph_kept
    peak = peak_allocated(lambda: operator.matvec(torch.ones(operator.size)), torch.device("cpu"))
    assert peak <= budget
