import contextlib

import dense
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from valleyscope.engine.memory import peak_allocated
from valleyscope.engine.weights import select_parameters
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import ModelSettings, sequence_losses


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


def test_every_eigenvalue_of_a_transformer_of_two_thousand_weights(draw_model, rng):
    settings = ModelSettings(vocab_size=40, context=5, depth=1, width=10, heads=1, kv_heads=1)
    model = draw_model(settings)
    tokens = torch.randint(40, (6, 6), generator=rng)
    operator = HessianOperator(model, sequence_losses, tokens)
    assert operator.size == 2000
    truth = torch.linalg.eigvalsh(dense.hessian(model, sequence_losses, tokens))
    found = torch.linalg.eigvalsh(operator.matmat(torch.eye(operator.size, dtype=torch.float64)))
    assert (found - truth).abs().max() <= 1e-8 * truth.abs().max()
    assert truth[0] < -1e-2 * truth[-1]  # indefinite, so that a Gauss-Newton product would fail


@pytest.mark.parametrize(
    "options",
    [{"keep_graph": True}, {"keep_graph": False}, {"memory_budget": 2.0e5}],
    ids=["kept", "rebuilt", "microbatched"],
)
@pytest.mark.parametrize("shape", ["batch", "list", "loader"])
def test_every_way_to_run_gives_the_dense_product(model, tokens, rng, options, shape):
    data = {"batch": tokens, "list": [tokens[:5], tokens[5:]], "loader": DataLoader(tokens, batch_size=4)}
    operator = HessianOperator(model, sequence_losses, data[shape], **options)
    assert operator.graph_kept == options.get("keep_graph", False)
    if "memory_budget" in options:
        assert 1 <= operator.microbatch <= 3
    H = dense.hessian(model, sequence_losses, tokens)
    V = torch.randn(operator.size, 2, generator=rng, dtype=torch.float64)
    assert (operator.matmat(V) - H @ V).norm() <= 1e-10 * (H @ V).norm()
    torch.testing.assert_close(operator.gradient(), dense.gradient(model, sequence_losses, tokens))
    torch.testing.assert_close(operator.losses, sequence_losses(model, tokens).detach())


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
    model, loss_fn, batch = mlp_problem(rng)
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
    model, loss_fn, (x, y) = mlp_problem(rng)
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


def test_float32_agrees_with_float64(model, tokens, rng):
    v = torch.randn(HessianOperator(model, sequence_losses, tokens).size, generator=rng)
    double = HessianOperator(model, sequence_losses, tokens).matvec(v.double())
    single = HessianOperator(model.float(), sequence_losses, tokens).matvec(v)
    assert single.dtype == torch.float32
    assert (single.double() - double).norm() <= 1e-5 * double.norm()


def test_vectors_may_be_strided_and_results_are_new(model, tokens, rng):
    operator = HessianOperator(model, sequence_losses, tokens)
    V = torch.randn(3, operator.size, generator=rng, dtype=torch.float64).T
    first = operator.matmat(V)
    second = operator.matvec(V[:, 1])
    torch.testing.assert_close(first[:, 1], second, rtol=1e-12, atol=1e-14)
    second.zero_()
    operator.gradient().zero_()
    torch.testing.assert_close(operator.matmat(V), first, rtol=0, atol=0)
    assert operator.gradient().abs().max() > 0
    assert operator.matvecs == 7
    torch.testing.assert_close(operator @ V, first, rtol=0, atol=0)


def test_losses_that_are_linear_or_leave_weights_out_have_zero_rows():
    model = nn.ModuleDict(
        {"used": nn.Linear(3, 2), "linear": nn.Linear(3, 1), "idle": nn.Linear(2, 2)}
    ).double()
    loss_fn = lambda m, x: m["used"](x).square().sum(1) + m["linear"](x)[:, 0]  # noqa: E731
    x = torch.ones(4, 3, dtype=torch.float64)
    operator = HessianOperator(model, loss_fn, x)
    product = operator.matvec(torch.ones(operator.size, dtype=torch.float64))
    assert (product[:8] != 0).all()
    assert (product[8:] == 0).all()
    linear = HessianOperator(model, loss_fn, x, params=["linear.*"])
    assert (linear.matvec(torch.ones(4, dtype=torch.float64)) == 0).all()


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

    def plain(m, x):
        q, k, v = m.qkv(x).chunk(3, dim=-1)
        return ((q @ k.transpose(-1, -2) / 2).softmax(-1) @ v).square().mean((1, 2, 3))

    H = dense.hessian(model, plain, x)
    assert (operator.matvec(v) - H @ v).norm() <= 1e-9 * (H @ v).norm()


def test_a_loader_leaves_the_random_state_alone(model, tokens):
    before = torch.get_rng_state()
    operator = HessianOperator(model, sequence_losses, DataLoader(tokens, batch_size=3), keep_graph=False)
    operator.matvec(torch.ones(operator.size, dtype=torch.float64))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_samples_on_the_cpu_and_a_model_on_a_gpu(model, tokens, rng):
    v = torch.randn(HessianOperator(model, sequence_losses, tokens).size, generator=rng, dtype=torch.float64)
    truth = HessianOperator(model, sequence_losses, tokens).matvec(v)
    product = HessianOperator(model.cuda(), sequence_losses, tokens).matvec(v)
    assert product.is_cuda
    torch.testing.assert_close(product.cpu(), truth, rtol=1e-9, atol=1e-12)


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
