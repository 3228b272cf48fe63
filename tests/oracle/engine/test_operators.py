"""Means over data sets as operators: how they are split, what they refuse, and products of many columns."""

import contextlib

import dense
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from valleyscope.engine.memory import peak_allocated
from valleyscope.engine.operators import (
    differentiated,
    fewest_lengths,
    require_symmetric,
    sample_losses,
)
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import sequence_losses


def test_an_operator_multiplies_as_its_matrix_and_counts(rng):
    A = torch.randn(6, 6, generator=rng, dtype=torch.float64)
    operator = dense.MatrixOperator(A)
    V = torch.randn(6, 3, generator=rng, dtype=torch.float64)
    torch.testing.assert_close(operator @ V, A @ V)
    torch.testing.assert_close(operator @ V[:, 0], A @ V[:, 0])
    assert operator.shape == (6, 6)
    assert operator.matvecs == 4
    for wrong in (V[:5], V[:5, 0]):
        with pytest.raises(ValueError, match="the operator needs"):
            operator @ wrong


def test_a_matrix_that_is_not_symmetric_is_refused(rng):
    A = torch.randn(6, 6, generator=rng, dtype=torch.float64)
    require_symmetric(dense.MatrixOperator(A + A.T), seed=0)
    with pytest.raises(InputError, match="not symmetric"):
        require_symmetric(dense.MatrixOperator(A + A.T + 1e-3 * A), seed=0)


def test_products_of_what_is_not_connected_are_zero(rng):
    x, idle = (torch.randn(3, generator=rng, requires_grad=True) for _ in range(2))
    direction = torch.randn(3, generator=rng)
    found = differentiated([x**2, torch.ones(3)], [x, idle], [direction, direction])
    torch.testing.assert_close(found[0], 2 * x.detach() * direction)
    assert (found[1] == 0).all()
    assert (differentiated([torch.ones(3)], [x], [direction])[0] == 0).all()


def test_losses_of_another_shape_are_named():
    batch = torch.zeros(4, 2)
    assert sample_losses(torch.ones(4), batch).shape == (4,)
    for losses, found in ((torch.ones(()), r"shape \(\)"), ([1.0] * 4, "list")):
        with pytest.raises(InputError, match=f"loss_fn returned {found} for 4 samples"):
            sample_losses(losses, batch)


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [
        ([64], 64, 64),
        ([64], 50, 50),  # 32 and 32
        ([9], 4, 4),  # three of 3
        ([10], 4, 2),  # five of 2, not 4, 3 and 3
        ([6, 3], 6, 5),  # three of 3
        ([7], 1, 1),
    ],
)
def test_batches_are_cut_into_few_lengths(sizes, most, expected):
    assert fewest_lengths(sizes, most) == expected


class NoMap(torch.autograd.Function):
    """x³, twice differentiable, without a rule for vmap."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        return 3 * Square.apply(*ctx.saved_tensors) * gradient


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        if not gradient.sum().item():  # data-dependent: vmap refuses it
            return torch.zeros_like(x)
        return 2 * x * gradient


@pytest.mark.parametrize("together", [0, 2, 100])
@pytest.mark.parametrize("mappable", [True, False])
def test_columns_of_one_sample_go_through_its_graph_together(rng, monkeypatch, together, mappable):
    model, loss_fn, batch = dense.mlp_problem(rng)
    H = dense.hessian(nn.Sequential(model, Cube(torch.pow)), loss_fn, (batch[0][:1], batch[1][:1]))
    layer = Cube(torch.pow if mappable else lambda x, _: NoMap.apply(x))
    one = HessianOperator(nn.Sequential(model, layer), loss_fn, (batch[0][:1], batch[1][:1]))
    monkeypatch.setattr("valleyscope.engine.operators.TOGETHER", together * one.size)
    V = torch.randn(one.size, 5, generator=rng, dtype=torch.float64)
    slow = not mappable and together > 1
    with pytest.warns(UserWarning, match="one by one") if slow else contextlib.nullcontext():
        image = one.matmat(V)
    assert (image - H @ V).norm() <= 1e-10 * (H @ V).norm()
    assert one.matvecs == 5


class Cube(nn.Module):
    """x³ by `power`."""

    def __init__(self, power):
        super().__init__()
        self.power = power

    def forward(self, x):
        return self.power(x, 3)


def test_tuple_and_dict_batches_are_split(rng):
    model, loss_fn, (x, y) = dense.mlp_problem(rng)
    v = torch.randn(51, generator=rng, dtype=torch.float64)
    kept = HessianOperator(model, loss_fn, (x, y))
    whole = kept.matvec(v)
    as_dict = {"x": x, "y": y}
    dict_loss = lambda m, b: loss_fn(m, (b["x"], b["y"]))  # noqa: E731
    for function, data in (
        (loss_fn, (x, y)),
        (dict_loss, as_dict),
        (loss_fn, DataLoader(TensorDataset(x, y), 4)),
    ):
        operator = HessianOperator(model, function, data, memory_budget=2 * kept.graph_bytes)
        assert not operator.graph_kept
        assert operator.microbatch < 9
        torch.testing.assert_close(operator.matvec(v), whole, rtol=1e-10, atol=1e-12)


def test_the_budget_decides_bounds_the_memory_and_can_be_too_small(rng):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.Linear(30, 5))
    data = torch.randn(4000, 20, generator=rng)
    loss_fn = lambda m, b: m(b).square().sum(1)  # noqa: E731
    kept = HessianOperator(model, loss_fn, data)
    assert kept.graph_kept
    assert kept.microbatch == 4000
    cpu = torch.device("cpu")
    products = []

    def split(budget):
        operator = HessianOperator(model, loss_fn, data, memory_budget=budget)
        products.append(operator.matvec(torch.ones(operator.size)))
        return operator

    for budget in (1.5e6, 5.0e5):
        assert not split(budget).graph_kept
        assert peak_allocated(lambda budget=budget: split(budget), cpu) <= budget
        assert peak_allocated(lambda: kept.matvec(torch.ones(kept.size)), cpu) > budget
    torch.testing.assert_close(products[0], kept.matvec(torch.ones(kept.size)))
    with pytest.raises(InputError, match=r"one sample takes .* more than memory_budget = 100;"):
        HessianOperator(model, loss_fn, data, memory_budget=100)


def test_a_loader_leaves_the_random_state_alone(model, tokens):
    before = torch.get_rng_state()
    operator = HessianOperator(model, sequence_losses, DataLoader(tokens, batch_size=3), keep_graph=False)
    operator.matvec(torch.ones(operator.size, dtype=torch.float64))
    assert torch.equal(torch.get_rng_state(), before)


class _Restless:
    """A loader whose passes differ in length."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches())


def test_what_would_make_products_noise_is_named(model, tokens, rng):
    noisy = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1)).double()
    loss_fn = lambda m, x: m(x)[:, 0].square()  # noqa: E731
    x = torch.randn(30, 4, generator=rng, dtype=torch.float64)
    with pytest.raises(InputError, match="changes from call to call"):
        HessianOperator(noisy, loss_fn, x)
    HessianOperator(noisy.eval(), loss_fn, x)
    with torch.no_grad():
        noisy[2].weight.mul_(1e-3)
        noisy[2].bias.zero_()
    with pytest.raises(InputError, match="changes from call to call"):
        HessianOperator(noisy.train().float(), loss_fn, x.float())  # losses of 1e-6 and less
    normed = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)).double()
    for data in (x, x[:4], [x[:4], x[4:8]]):
        with pytest.raises(InputError, match="rest of its batch"):
            HessianOperator(normed, loss_fn, data)
    assert normed[1].num_batches_tracked == 0
    assert (normed[1].running_mean == 0).all()
    HessianOperator(normed.eval(), loss_fn, x)
    with pytest.raises(InputError, match="shuffle=False"):
        HessianOperator(normed, loss_fn, DataLoader(x, batch_size=10, shuffle=True))
    sizes = iter([2, 3, 2])
    with pytest.raises(InputError, match="shuffle=False"):
        HessianOperator(normed, loss_fn, _Restless(lambda: [x[: next(sizes)]]))
    with pytest.raises(InputError, match="only once"):
        HessianOperator(normed, loss_fn, iter([x]))
    with pytest.raises(InputError, match="differentiated twice"):
        HessianOperator(normed, lambda m, x: dense.OnceDifferentiable.apply(m(x))[:, 0].square(), x).matvec(
            torch.ones(65, dtype=torch.float64)
        )
    with pytest.raises(InputError, match="does not depend"):
        HessianOperator(normed, lambda m, x: x[:, 0], x)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "empty list"),
        (3, "a int"),
        (("a", torch.zeros(2)), "holds"),
        ((torch.zeros(3, 2), torch.zeros(2)), r"lengths \[2, 3\]"),
        (torch.tensor(1.0), "lengths"),
    ],
)
def test_data_of_the_wrong_kind_is_named(model, data, words):
    with pytest.raises(InputError, match=words):
        HessianOperator(model, sequence_losses, data)


def test_pieces_of_a_list_count_with_their_gradients(rng):
    """Each batch's graph holds vectors as long as the weights, which no hook on saved tensors sees."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 300), nn.Tanh(), nn.Linear(300, 1))
    data = list(torch.randn(60, 2, 300, generator=rng))
    loss_fn = lambda m, x: m(x)[:, 0].square()  # noqa: E731
    budget = 4.0e6
    operator = HessianOperator(model, loss_fn, data, memory_budget=budget)
    assert not operator.graph_kept
    peak = peak_allocated(lambda: operator.matvec(torch.ones(operator.size)), torch.device("cpu"))
    assert peak <= budget
