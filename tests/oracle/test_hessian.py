import dense
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from valleyscope.engine.compiled import compiler
from valleyscope.engine.memory import peak_allocated
from valleyscope.engine.operators import GRAPH_SHARE
from valleyscope.engine.weights import select_parameters
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import ModelSettings, sequence_losses

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler for torch.compile")


def test_products_equal_the_dense_hessian_of_a_transformer(model, tokens, rng):
    H = dense.hessian(model, sequence_losses, tokens)
    operator = HessianOperator(model, sequence_losses, tokens)
    V = torch.randn(operator.size, 3, generator=rng, dtype=torch.float64)
    product = operator.matmat(V)
    assert (product - H @ V).norm() <= 1e-10 * (H @ V).norm()
    assert operator.matvecs == 3


def test_products_equal_the_dense_hessian_of_an_mlp(rng):
    model, loss_fn, batch = dense.mlp_problem(rng)
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


@needs_compiler
def test_compiled_products_equal_the_dense_hessian(model, tokens, rng):
    """In float32, as they are used; the next test holds them to 1e-10 in float64."""
    error = 1e-5
    H = dense.hessian(model, sequence_losses, tokens)
    gradient = dense.gradient(model, sequence_losses, tokens)
    losses = sequence_losses(model, tokens).detach()
    operator = HessianOperator(model.float(), sequence_losses, tokens, compiled=True)
    assert (operator.dtype, operator.matvecs) == (torch.float32, 0)
    V = torch.randn(operator.size, 3, generator=rng, dtype=torch.float64)
    product = operator.matmat(V)
    assert operator.matvecs == 3
    assert (product - H @ V).norm() <= error * (H @ V).norm()
    torch.testing.assert_close(operator.gradient().double(), gradient, rtol=error, atol=error)
    torch.testing.assert_close(operator.losses.double(), losses, rtol=error, atol=error)


@needs_compiler
def test_one_compiled_product_serves_other_weights_models_and_splits(rng):
    model, loss_fn, (x, y) = dense.mlp_problem(rng)
    other = dense.mlp_problem(rng)[0]
    three = HessianOperator(model, loss_fn, (x[:3], y[:3]), compiled=True)
    with torch.no_grad():
        model[0].weight.add_(1.0)
    with torch.compiler.set_stance("fail_on_recompile"):
        for one in (model, other):
            H, gradient = dense.hessian(one, loss_fn, (x, y)), dense.gradient(one, loss_fn, (x, y))
            for data, budget in (
                ([(x[:6], y[:6]), (x[6:], y[6:])], None),
                (DataLoader(TensorDataset(x, y), batch_size=3), None),
                ((x, y), 1.01 * three.graph_bytes / GRAPH_SHARE),
            ):
                operator = HessianOperator(one, loss_fn, data, memory_budget=budget, compiled=True)
                v = torch.randn(operator.size, generator=rng, dtype=torch.float64)
                assert (operator.matvec(v) - H @ v).norm() <= 1e-10 * (H @ v).norm()
                torch.testing.assert_close(operator.gradient(), gradient)


@needs_compiler
def test_a_compiled_block_of_some_parameters_at_one_sample(rng):
    model, loss_fn, (x, y) = dense.mlp_problem(rng)
    one = (x[:1], y[:1])
    H = dense.hessian(model, loss_fn, one)[30:, 30:]
    operator = HessianOperator(model, loss_fn, one, params=["2.*"], compiled=True)
    V = torch.randn(operator.size, 2, generator=rng, dtype=torch.float64)
    assert (operator.matmat(V) - H @ V).norm() <= 1e-10 * (H @ V).norm()


@needs_compiler
def test_a_compiled_product_stays_within_the_budget(rng):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.Linear(30, 5))
    data = torch.randn(4000, 20, generator=rng)
    loss_fn = lambda m, b: m(b).square().sum(1)  # noqa: E731
    budget = 1.5e6
    operator = HessianOperator(model, loss_fn, data, memory_budget=budget, compiled=True)
    v = torch.randn(operator.size, generator=rng)
    assert operator.microbatch < 4000
    assert peak_allocated(lambda: operator.matvec(v), v.device) <= budget
    torch.testing.assert_close(operator.matvec(v), HessianOperator(model, loss_fn, data).matvec(v))


class Cube(torch.autograd.Function):
    """x³ with a second derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


@needs_compiler
def test_what_compiled_products_cannot_do_is_said_in_one_line(model, tokens, monkeypatch):
    def refused(words, model, loss_fn, data, **options):
        with pytest.raises(InputError, match=words) as caught:
            HessianOperator(model, loss_fn, data, compiled=True, **options)
        assert "\n" not in str(caught.value)

    linear, x = nn.Linear(4, 2), torch.ones(3, 4)
    custom = lambda m, b: Cube.apply(m(b)).sum(1)  # noqa: E731
    refused("not that of the model .*; leave compiled out", linear, custom, x)
    refused("differentiated twice", linear, lambda m, b: dense.OnceDifferentiable.apply(m(b))[:, 0] ** 2, x)
    recurrent = nn.GRU(4, 4)  # torch.compile takes none
    refused("RNN, GRU, or LSTM", recurrent, lambda m, b: m(b[:, None])[0][:, 0, 0].square(), x)
    by_value = lambda m, b: m(b).square().sum(1) * (2.0 if b.sum() > 0 else 1.0)  # noqa: E731
    refused(r"cannot compile a layer of the model or the loss \(.*ata-dependent", linear, by_value, x)
    monkeypatch.setattr("valleyscope.engine.compiled.compiler", lambda: None)
    refused(r"needs a C\+\+ compiler", model, sequence_losses, tokens)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_samples_on_the_cpu_and_a_model_on_a_gpu(model, tokens, rng):
    v = torch.randn(HessianOperator(model, sequence_losses, tokens).size, generator=rng, dtype=torch.float64)
    truth = HessianOperator(model, sequence_losses, tokens).matvec(v)
    product = HessianOperator(model.cuda(), sequence_losses, tokens).matvec(v)
    assert product.is_cuda
    torch.testing.assert_close(product.cpu(), truth, rtol=1e-9, atol=1e-12)


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
