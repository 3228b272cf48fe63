import pytest
import torch
from torch import nn

from valleyscope.dynamics import SgdSettings, projected_sgd
from valleyscope.model import sequence_losses
from valleyscope.paths import Path, straight_line
from valleyscope.weights import at_weights, flat_weights

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


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_full_batch_replicas_equal_torchs_own_optimiser(model, tokens, rng, momentum):
    a = flat_weights(model)
    b = a + torch.randn(len(a), generator=rng, dtype=torch.float64)
    path = straight_line(a, b)
    settings = SgdSettings(learning_rate=0.02, momentum=momentum, batch=0, steps=6, period=3)
    starts = torch.tensor([0.2, 0.6], dtype=torch.float64)
    table = projected_sgd(model, sequence_losses, tokens, path, starts, settings, seed=0)
    for replica, start in enumerate(starts.tolist()):
        with at_weights(model, path.point(start)):
            optimiser = torch.optim.SGD(model.parameters(), lr=0.02, momentum=momentum)
            for _ in range(2):
                for _ in range(3):
                    optimiser.zero_grad()
                    sequence_losses(model, tokens).mean().backward()
                    optimiser.step()
                nearest = path.project(flat_weights(model))
                with torch.no_grad():
                    nn.utils.vector_to_parameters(nearest.point, model.parameters())
        last = table[(table["step"] == 6) & (table["replica"] == replica)]
        assert last["position"].item() == pytest.approx(nearest.position.item(), abs=1e-9)
        assert last["distance"].item() == pytest.approx(nearest.distance.item(), rel=1e-7)


def test_same_seed_same_trajectories():
    data = torch.randn(8, 1, dtype=torch.float64)
    settings = SgdSettings(learning_rate=0.1, momentum=0.5, batch=2, steps=20, period=5)
    starts = torch.tensor([0.5], dtype=torch.float64)
    runs = [projected_sgd(Point(), valley, data, along_y(), starts, settings, seed=s) for s in (0, 0, 1)]
    assert runs[0].equals(runs[1])
    assert not runs[0].equals(runs[2])


def test_bad_input_and_divergence_are_named():
    data = torch.zeros(2, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match="multiple of period"):
        SgdSettings(learning_rate=0.1, momentum=0.0, batch=0, steps=7, period=2)

    def steep(model, batch):
        return (model.w[0] - batch[:, 0] - 1) ** 4 + 0 * model.w[1]

    settings = SgdSettings(learning_rate=10.0, momentum=0.0, batch=0, steps=60, period=60)
    with pytest.raises(FloatingPointError, match=r"diverged at step \d+: learning rate 10.0"):
        projected_sgd(Point(), steep, data, along_y(), torch.tensor([0.5]), settings, seed=0)
    settings = SgdSettings(learning_rate=0.1, momentum=0.0, batch=0, steps=2, period=2)
    with pytest.raises(ValueError, match="outside"):
        projected_sgd(Point(), valley, data, along_y(), torch.tensor([1.2]), settings, seed=0)
