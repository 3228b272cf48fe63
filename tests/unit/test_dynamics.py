import pytest
import torch
from torch import nn

from valleyscope.dynamics import SgdSettings, projected_sgd, stochastic_gradients
from valleyscope.engine.noise import GradientCovariance, scores
from valleyscope.engine.weights import at_weights, flat_weights
from valleyscope.errors import InputError
from valleyscope.models.model import sequence_losses
from valleyscope.paths import Path, straight_line

SLOPE, STIFFNESS = 0.3, 2.0


class Point(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2, dtype=torch.float64))


def valley(model, batch):
    """½ STIFFNESS (x − ξ)² + SLOPE y with noise ξ from the data; the valley floor is x = E ξ."""
    x, y = model.w
    return 0.5 * STIFFNESS * (x - batch[:, 0]) ** 2 + SLOPE * y


def along_y():
    return Path(torch.tensor([[0.0, 0.0], [0.0, 4.0], [0.0, 10.0]], dtype=torch.float64))


def test_gradient_descent_slides_down_the_valley_at_the_known_rate():
    data = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    settings = SgdSettings(learning_rate=0.1, momentum=0.0, batch=0, steps=30, period=10)
    starts = torch.tensor([0.5, 0.9], dtype=torch.float64)
    table = projected_sgd(Point(), valley, data, along_y(), starts, settings, seed=0)
    assert table["step"].tolist() == [0, 0, 10, 10, 20, 20, 30, 30]
    truth = table["start"] - table["step"] * 0.1 * SLOPE / 10
    torch.testing.assert_close(torch.tensor(table["position"]), torch.tensor(truth))
    torch.testing.assert_close(torch.tensor(table["t_eff"]), torch.tensor(table["step"] * 0.1))
    assert table["distance"].abs().max() < 1e-12


def test_noise_across_the_valley_has_its_stationary_spread():
    """x is an AR(1): Var = η²κ²s²/(1 − (1 − ηκ)²) with s² the variance of a minibatch mean."""
    data = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    settings = SgdSettings(learning_rate=0.1, momentum=0.0, batch=4, steps=200, period=200)
    starts = torch.full((4000,), 0.9, dtype=torch.float64)  # far enough from the end to stay on the path
    table = projected_sgd(Point(), valley, data, along_y(), starts, settings, seed=1)
    distance = table.query("step == 200")["distance"]
    variance = (0.1 * STIFFNESS) ** 2 / 4 / (1 - (1 - 0.1 * STIFFNESS) ** 2)
    # Of a Gaussian, the error of a variance over n draws is sqrt(2 / n).
    assert (distance**2).mean() == pytest.approx(variance, rel=5 * (2 / 4000) ** 0.5)


def by_hand(model, settings):
    """torch's own optimiser on the model's parameters."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimiser == "adam":
        return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    return torch.optim.SGD(
        model.parameters(),
        lr=rate,
        momentum=settings.momentum,
        weight_decay=decay,
        nesterov=settings.optimiser == "nesterov",
    )


def full_step(model, data, optimiser):
    optimiser.zero_grad()
    sequence_losses(model, data).mean().backward()
    optimiser.step()


CASES = [
    {"optimiser": "sgd"},
    {"optimiser": "sgd", "momentum": 0.9},
    {"optimiser": "nesterov", "momentum": 0.8, "weight_decay": 0.5},
    {"optimiser": "sgd", "momentum": 0.5, "weight_decay": 0.5},
    {"optimiser": "adam"},
    {"optimiser": "adam", "weight_decay": 0.5},
]


@pytest.fixture
def line(model, rng):
    a = flat_weights(model)
    return straight_line(a, a + torch.randn(len(a), generator=rng, dtype=torch.float64))


@pytest.mark.parametrize("projected", [True, False], ids=["projected", "free"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())))
def test_full_batch_replicas_equal_torchs_own_optimiser(model, tokens, line, case, projected):
    settings = SgdSettings(learning_rate=0.02, batch=0, steps=6, period=3, projected=projected, **case)
    starts = torch.tensor([0.2, 0.6], dtype=torch.float64)
    table = projected_sgd(model, sequence_losses, tokens, line, starts, settings, seed=0)
    for replica, start in enumerate(starts.tolist()):
        with at_weights(model, line.point(start)):
            optimiser = by_hand(model, settings)
            for period in (1, 2):
                losses, squares = [], []
                for _ in range(3):
                    before = flat_weights(model)
                    losses.append(sequence_losses(model, tokens).mean().item())
                    full_step(model, tokens, optimiser)
                    squares.append((flat_weights(model) - before).square().sum().item())
                nearest = line.project(flat_weights(model))
                row = table.query(f"step == {3 * period} and replica == {replica}").iloc[0]
                assert row["position"] == pytest.approx(nearest.position.item(), abs=1e-9)
                assert row["distance"] == pytest.approx(nearest.distance.item(), rel=1e-7)
                assert row["loss"] == pytest.approx(sum(losses) / 3, rel=1e-9)
                assert row["step_size"] == pytest.approx((sum(squares) / 3) ** 0.5, rel=1e-7)
                if projected:
                    with torch.no_grad():
                        nn.utils.vector_to_parameters(nearest.point, model.parameters())
    assert table.query("step > 0")["distance"].min() > 1e-3


def test_minibatch_gradients_are_means_over_what_was_drawn(rng):
    """A loss w·ξ has the gradient ξ, so that two samples of powers of two tell which were drawn."""
    powers = 2.0 ** torch.arange(5, dtype=torch.float64)[:, None] * torch.tensor([[1.0, 0.0]]).double()
    settings = SgdSettings(learning_rate=0.1, batch=2, steps=1, period=1)
    gradients = stochastic_gradients(Point(), lambda m, b: b @ m.w, powers, settings)
    weights = torch.randn(400, 2, generator=rng, dtype=torch.float64)
    found, losses = gradients(weights, torch.Generator().manual_seed(3))
    torch.testing.assert_close(losses, (found * weights).sum(1))
    pairs = {(2**i + 2**j) / 2 for i in range(5) for j in range(5)}  # with replacement
    assert set(found[:, 0].tolist()) == pairs  # all 15, and replicas draw for themselves
    assert (found[:, 1] == 0).all()


def test_noise_only_has_no_force_and_the_covariance_of_a_minibatch(rng):
    model = nn.Linear(3, 1).double()
    x = torch.randn(6, 3, generator=rng, dtype=torch.float64) + 1
    loss_fn = lambda m, b: m(b)[:, 0].square()  # noqa: E731
    sigma = GradientCovariance(model, loss_fn, x).matmat(torch.eye(4, dtype=torch.float64))
    force = scores(model, loss_fn, x).mean(0)
    draws = 20_000
    weights = flat_weights(model).expand(draws, 4)
    for noise_only in (True, False):
        settings = SgdSettings(learning_rate=0.1, batch=3, steps=1, period=1, noise_only=noise_only)
        gradients = stochastic_gradients(model, loss_fn, x, settings)
        found, losses = gradients(weights, torch.Generator().manual_seed(int(rng.initial_seed() % 2**31)))
        error = (sigma.diagonal() / 3 / draws) ** 0.5
        assert ((found.mean(0) - (0 if noise_only else force)).abs() <= 5 * error).all()
        assert (torch.cov(found.T) - sigma / 3).abs().max() <= 0.07 * sigma.abs().max() / 3
        # The loss is that of the samples, whatever their signs.
        assert losses.mean().item() == pytest.approx(loss_fn(model, x).mean().item(), rel=0.05)
    assert force.norm() > 5 * error.norm()  # or the first case would pass without the signs


def test_without_a_force_nothing_slides_down_the_valley():
    data = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    starts = torch.full((500,), 0.5, dtype=torch.float64)
    common = {"learning_rate": 0.1, "batch": 4, "steps": 20, "period": 20}
    for noise_only in (True, False):
        settings = SgdSettings(**common, noise_only=noise_only)
        table = projected_sgd(Point(), valley, data, along_y(), starts, settings, seed=1)
        end = table.query("step == 20")
        moved = (end["position"] - end["start"]).to_numpy() * 10
        assert moved == pytest.approx(0 if noise_only else -20 * 0.1 * SLOPE, abs=1e-9)
        # A random walk without the restoring force, an AR(1) with it.
        walk = 20 * (0.1 * STIFFNESS) ** 2 / 4
        decay = (1 - 0.1 * STIFFNESS) ** 2
        spread = walk if noise_only else walk / 20 * (1 - decay**20) / (1 - decay)
        assert (end["distance"] ** 2).mean() == pytest.approx(spread, rel=5 * (2 / 500) ** 0.5)


def test_noise_without_a_force_does_not_feed_on_itself():
    """Noise that grows away from the path: without a force nothing would hold it, so it stays the path's."""

    def growing(model, batch):
        x = model.w[0]
        return batch[:, 0] * (x + 50 * x**2) + 0 * model.w[1]

    data = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    starts = torch.full((500,), 0.5, dtype=torch.float64)
    settings = SgdSettings(learning_rate=0.01, batch=4, steps=30, period=15, noise_only=True)
    table = projected_sgd(Point(), growing, data, along_y(), starts, settings, seed=2)
    for step in (15, 30):  # a random walk of 15 steps each time, as the projection brings it back
        spread = (table.query(f"step == {step}")["distance"] ** 2).mean()
        assert spread == pytest.approx(15 * 0.01**2 / 4, rel=5 * (2 / 500) ** 0.5)


def test_same_seed_same_trajectories(rng):
    data = torch.randn(8, 1, generator=rng, dtype=torch.float64)
    settings = SgdSettings(learning_rate=0.1, momentum=0.5, batch=2, steps=20, period=5)
    starts = torch.tensor([0.5], dtype=torch.float64)
    runs = [projected_sgd(Point(), valley, data, along_y(), starts, settings, seed=s) for s in (0, 0, 1)]
    assert runs[0].equals(runs[1])
    assert not runs[0].equals(runs[2])


def test_bad_input_and_divergence_are_named():
    data = torch.zeros(2, 1, dtype=torch.float64)
    common = {"learning_rate": 0.1, "batch": 0, "steps": 2, "period": 2}
    with pytest.raises(InputError, match="multiple of period"):
        SgdSettings(**common | {"steps": 7})
    with pytest.raises(InputError, match="'adagrad' is none of sgd, nesterov, adam"):
        SgdSettings(**common, optimiser="adagrad")
    with pytest.raises(InputError, match="noise_only"):
        SgdSettings(**common, noise_only=True)

    def steep(model, batch):
        return (model.w[0] - batch[:, 0] - 1) ** 4 + 0 * model.w[1]

    settings = SgdSettings(learning_rate=10.0, momentum=0.0, batch=0, steps=60, period=60)
    with pytest.raises(FloatingPointError, match=r"diverged at step \d+: learning rate 10.0"):
        projected_sgd(Point(), steep, data, along_y(), torch.tensor([0.5]), settings, seed=0)
    settings = SgdSettings(**common)
    for outside in (1.2, -0.1):
        with pytest.raises(InputError, match="outside"):
            projected_sgd(Point(), valley, data, along_y(), torch.tensor([0.5, outside]), settings, seed=0)
