import itertools

import dense
import pytest
import torch
from torch import nn

from valleyscope.drift import (
    DriftSettings,
    Setting,
    drift,
    joined,
    krylov,
    predicted_drift,
)
from valleyscope.engine.noise import scores
from valleyscope.engine.weights import at_weights, flat_weights, losses_at
from valleyscope.errors import InputError
from valleyscope.models.model import ModelSettings, sequence_losses
from valleyscope.paths import Path

SLOPE = 0.02
BASE = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
GROWTH = torch.tensor([[1.0, -0.3], [-0.3, 0.6]], dtype=torch.float64)  # of the stiffness along the floor


class Point(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(size, dtype=torch.float64))


class Valley:
    """½ xᵀ(BASE + y GROWTH) x + SLOPE y − ξ·(x, y), turned and shifted at random; its floor is straight."""

    def __init__(self, rng, noise):
        self.Q = torch.linalg.qr(torch.randn(3, 3, generator=rng, dtype=torch.float64)).Q
        self.centre = torch.randn(3, generator=rng, dtype=torch.float64)
        xi = noise * torch.randn(8, 3, generator=rng, dtype=torch.float64)
        self.data = torch.cat([xi, -xi]) @ self.Q.T  # symmetric: no third moment, and E ξ = 0
        self.model = Point(3)
        self.path = Path(torch.stack([self.centre, self.centre + 2 * self.Q[:, 2]]))

    def loss(self, model, batch):
        z = self.Q.T @ (model.w - self.centre)
        bowl = 0.5 * z[:2] @ (BASE + z[2] * GROWTH) @ z[:2]
        return bowl + SLOPE * z[2] - batch @ (model.w - self.centre)


class Cubic:
    """ξ·w + ½ wᵀAw + ⅙ T[w, w, w] with dense A and T: nothing vanishes, and second differences are exact."""

    def __init__(self, rng, size):
        def draw(*shape):
            return torch.randn(*shape, generator=rng, dtype=torch.float64)

        root, ahead, vectors = draw(size, size), draw(size), draw(2 * size, size)
        self.A = root @ root.T / size + 0.5 * torch.eye(size, dtype=torch.float64)
        vectors = vectors * (vectors @ ahead).sign()[:, None]  # so that T τ has one sign and no sum cancels
        self.T = torch.einsum("ai,aj,ak->ijk", vectors, vectors, vectors) / size**2
        self.data = draw(2 * size, size) + 3 * draw(size)  # a gradient larger than its noise
        self.model = Point(size)
        self.path = Path(torch.stack([torch.zeros_like(ahead), 0.1 * ahead]))

    def loss(self, model, batch):
        w = model.w
        return batch @ w + 0.5 * w @ self.A @ w + torch.einsum("ijk,i,j,k", self.T, w, w, w) / 6


def ingredients(problem, position):
    """Dense H (N, N), third derivatives (N, N, N), Σ (N, N) and the tangent."""
    with at_weights(problem.model, problem.path.point(position)):
        here = flat_weights(problem.model)
        losses = losses_at(problem.model, problem.loss)
        H = dense.hessian(problem.model, problem.loss, problem.data)
        mean = lambda w: losses(w, problem.data).mean()  # noqa: E731
        third = torch.func.jacfwd(torch.func.hessian(mean))(here)
        each = [dense.gradient(problem.model, problem.loss, row[None]) for row in problem.data]
    return H, third, torch.cov(torch.stack(each).T, correction=0), problem.path.tangent(position)


def covariances(H, sigma, rate, batch, steps):
    """C_0 … C_m by the recursion itself."""
    A = torch.eye(len(H), dtype=H.dtype) - rate * H
    C = [torch.zeros_like(H)]
    for _ in range(steps):
        C.append(A @ C[-1] @ A + rate**2 * sigma / batch)
    return C


def entropic(H, third, sigma, tangent, rate, batch, steps):
    """−(η/2) Σ_{n=1}^{m−1} Tr[(∂_s H) C_n]."""
    bend = torch.einsum("ijk,k->ij", third, tangent)
    C = covariances(H, sigma, rate, batch, steps)
    return -rate / 2 * sum((bend * C[n]).sum().item() for n in range(1, steps))


def test_predicted_drift_equals_the_recursion_with_dense_matrices(rng):
    problem = Cubic(rng, 30)  # of so many directions that a few probes are enough
    settings = [Setting(0.05, 2), Setting(0.2, 5)]
    found = predicted_drift(
        problem.model,
        problem.loss,
        problem.data,
        problem.path,
        [0.3],
        settings,
        batches=[3, 12],
        probes=50,
        seed=4,
    )
    assert len(found) == 2 * 2
    for row in found.itertuples():
        H, third, sigma, tangent = ingredients(problem, row.position)
        truth = entropic(H, third, sigma, tangent, row.learning_rate, row.batch, row.steps)
        assert abs(row.predicted - truth) <= 5 * row.predicted_se
        trace = torch.einsum("ijk,k,ij->", third, tangent, sigma).item()
        first = -(row.learning_rate**3) / 4 * row.steps * (row.steps - 1) * trace / row.batch
        assert abs(row.leading - first) <= 5 * row.leading_se
        assert row.predicted_se < 0.25 * abs(truth)
        assert row.leading_se < 0.15 * abs(first)
    # With m = 2 the leading order is all there is: C_1 = η²Σ/B, draw by draw.
    short = found[found["steps"] == 2]
    assert short["predicted"].tolist() == pytest.approx(short["leading"].tolist(), rel=1e-6)
    assert short["predicted_se"].tolist() == pytest.approx(short["leading_se"].tolist(), rel=1e-6)
    for column in ("predicted", "predicted_se", "leading", "leading_se"):
        by_batch = [found.loc[found["batch"] == batch, column].to_numpy() for batch in (3, 12)]
        assert by_batch[0] == pytest.approx(4 * by_batch[1], rel=1e-12)


def test_predicted_drift_goes_to_its_leading_order_as_the_rate_falls(rng):
    problem = Valley(rng, 1.0)
    H, third, sigma, tangent = ingredients(problem, 0.5)
    ratios = []
    for rate in (1e-1, 1e-3):
        bend = (torch.einsum("ijk,k->ij", third, tangent) * sigma).sum().item()
        first = -(rate**3) / 4 * 8 * 7 * bend
        ratios.append(entropic(H, third, sigma, tangent, rate, 1, 8) / first)
    assert ratios[1] == pytest.approx(1, abs=0.02)
    assert ratios[0] < 0.8  # so that the two columns of the test above are not the same number


def test_measured_drift_agrees_with_the_recursion(rng):
    problem = Valley(rng, 0.25)
    rate, batch, steps = 0.15, 2, 6
    settings = DriftSettings(learning_rate=rate, batch=batch, steps=steps, replicas=8000, followed=300)
    (row,) = drift(
        problem.model, problem.loss, problem.data, problem.path, [0.6], settings, seed=2
    ).itertuples()
    H, third, sigma, tangent = ingredients(problem, 0.6)
    truth = entropic(H, third, sigma, tangent, rate, batch, steps)
    assert row.descent == pytest.approx(-rate * steps * SLOPE, rel=1e-9)
    assert row.entropic == pytest.approx(row.displacement - row.descent, rel=1e-12)
    # The next order in the noise is a few per cent of the drift.
    assert abs(row.entropic - truth) <= 5 * row.displacement_se + 0.05 * abs(truth)
    assert row.displacement_se < 0.05 * abs(truth)
    # Without the control variate, the noise along the floor hides the drift.
    along = (tangent @ sigma @ tangent).item() * steps * rate**2 / batch
    assert row.raw_se == pytest.approx((along / 8000) ** 0.5, rel=0.15)
    assert row.displacement_se < 0.3 * row.raw_se
    assert abs(row.followed - truth) <= 5 * row.followed_se + 0.05 * abs(truth)
    assert row.followed_se < 0.15 * abs(truth)
    C = covariances(H, sigma, rate, batch, steps)
    assert row.excursion == pytest.approx(C[steps].trace().item() ** 0.5, rel=0.05)
    # Along any direction r, the mean goes as e_{n+1} = (I − ηH) e_n − (η/2) ∇³L[C_n].
    mean = torch.zeros(3, dtype=torch.float64)
    for n in range(steps):
        mean = mean - rate * H @ mean - rate / 2 * torch.einsum("ijk,ij->k", third, C[n])
    assert (tangent @ mean).item() == pytest.approx(truth, rel=1e-6)
    W = problem.path.point(0.6)
    radial = (W @ tangent) / (W @ W) * (W @ mean)
    assert abs(row.radial - radial.item()) <= 5 * row.radial_se + 0.05 * abs(truth)


def test_two_steps_with_one_pair_of_samples_leave_nothing_to_chance(rng):
    """x_1 = ±ηξ, and the quadratic force does not see the sign: drift and theory agree draw by draw."""
    problem = Valley(rng, 0.5)
    problem.data = problem.data[[0, 8]]  # ξ and −ξ
    settings = DriftSettings(learning_rate=0.1, batch=1, steps=2, replicas=12, followed=5)
    (row,) = drift(
        problem.model, problem.loss, problem.data, problem.path, [0.4], settings, seed=0
    ).itertuples()
    truth = entropic(*ingredients(problem, 0.4), 0.1, 1, 2)
    assert row.entropic == pytest.approx(truth, rel=1e-9, abs=0)
    assert row.followed == pytest.approx(truth, rel=1e-9, abs=0)
    assert max(row.displacement_se, row.followed_se) < 1e-12 < row.raw_se
    # Off the floor, where the whole force is large: x is the distance from the descent, not from the start.
    beside = Path(problem.path.pivots + 3 * problem.Q[:, 0])
    (row,) = drift(problem.model, problem.loss, problem.data, beside, [0.4], settings, seed=0).itertuples()
    assert row.followed == pytest.approx(truth, rel=1e-9, abs=0)


def test_noise_along_one_direction_has_an_exact_prediction(rng):
    """Two terms need two vectors and no signs; of more, the cross terms vanish in the mean.

    Predicted over leading is 2 Σ_j (m − 1 − j) D_j / (m (m − 1) D_0) with D_j = (A^j u)ᵀ (∂_s H) A^j u.
    """
    rate, steps = 0.5, 5
    Q = torch.linalg.qr(torch.randn(4, 4, generator=rng, dtype=torch.float64)).Q
    H = Q @ torch.tensor([0.3, 1.2, 2.4, 3.5], dtype=torch.float64).diag() @ Q.T
    u = Q @ (torch.rand(4, generator=rng, dtype=torch.float64) + 0.5)
    A = torch.eye(4, dtype=torch.float64) - rate * H
    powers = torch.stack([torch.linalg.matrix_power(A, j) @ u for j in range(4)], 1)
    D = torch.rand(4, generator=rng, dtype=torch.float64) + 0.5
    inverse = torch.linalg.inv(powers)
    growth = inverse.T @ D.diag() @ inverse

    def loss_fn(model, batch):
        x, y = model.w[:4], model.w[4]
        return 0.5 * x @ (H + y * growth) @ x - batch @ x

    path = Path(torch.eye(5, dtype=torch.float64)[4] * torch.tensor([[0.0], [1.0]]))
    found = predicted_drift(
        Point(5),
        loss_fn,
        torch.stack([u, -u]),
        path,
        [0.0],
        [Setting(rate, m) for m in (3, steps)],
        batches=[2],
        probes=400,
        seed=0,
    )
    for row in found.itertuples():
        m = row.steps
        ratio = 2 * sum((m - 1 - j) * D[j].item() for j in range(m - 1)) / (m * (m - 1) * D[0].item())
        if m == 3:
            assert row.predicted / row.leading == pytest.approx(ratio, rel=1e-6)
            assert row.predicted_se / row.leading_se == pytest.approx(ratio, rel=1e-6)
        else:
            error = 5 * row.predicted_se / abs(row.leading)
            assert row.predicted / row.leading == pytest.approx(ratio, rel=0, abs=error)


def test_two_vectors_stand_for_all_rows_in_the_mean_over_signs(rng):
    rows = torch.randn(3, 6, generator=rng, dtype=torch.float64)
    S = torch.randn(6, 6, generator=rng, dtype=torch.float64)
    S = S + S.T
    truth = torch.einsum("ri,ij,rj->", rows, S, rows).item()
    sums = []
    for signs in itertools.product([-1.0, 1.0], repeat=3):
        pair = joined(rows, torch.tensor(signs, dtype=torch.float64))
        assert pair.shape == (2, 6)
        sums.append(torch.einsum("ri,ij,rj->", pair, S, pair).item())
    assert sum(sums) / len(sums) == pytest.approx(truth, rel=1e-10)
    # Of one or two rows, or of parallel ones, nothing is left to chance.
    for few in (rows[:1], rows[:2], rows[:1] * torch.tensor([[1.0], [-2.0], [3.0]], dtype=torch.float64)):
        pair = joined(few, torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64)[: len(few)])
        found = torch.einsum("ri,ij,rj->", pair, S, pair).item()
        assert found == pytest.approx(torch.einsum("ri,ij,rj->", few, S, few).item(), rel=1e-10)


def test_the_control_variate_takes_all_noise_out_of_a_slope(rng):
    """With a loss linear in the weights nothing else is left."""
    data = torch.randn(6, 3, generator=rng, dtype=torch.float64)
    path = Path(torch.randn(2, 3, generator=rng, dtype=torch.float64))
    settings = DriftSettings(learning_rate=0.1, batch=2, steps=4, replicas=50, followed=2)
    (row,) = drift(Point(3), lambda m, b: b @ m.w, data, path, [0.5], settings, seed=0).itertuples()
    assert row.displacement == pytest.approx(-0.4 * (data.mean(0) @ path.tangent(0.5)).item(), rel=1e-9)
    assert row.displacement == pytest.approx(row.descent, rel=1e-9)
    assert max(row.displacement_se, row.radial_se) < 1e-12 < row.raw_se
    assert max(abs(row.entropic), abs(row.radial), abs(row.followed)) < 1e-9


def test_positions_are_independent_and_seeded(rng):
    problem = Valley(rng, 0.5)
    settings = DriftSettings(learning_rate=0.1, batch=2, steps=3, replicas=20, followed=3)
    common = (problem.model, problem.loss, problem.data, problem.path)
    seen = []
    found = drift(*common, [0.5, 0.5], settings, seed=1, on_position=seen.append)
    assert seen == [0.5, 0.5]
    assert found["displacement"][0] != found["displacement"][1]
    assert found.equals(drift(*common, [0.5, 0.5], settings, seed=1))
    assert found[:1].equals(drift(*common, [0.5], settings, seed=1))
    assert not found.equals(drift(*common, [0.5, 0.5], settings, seed=2))


def test_krylov_holds_every_polynomial_of_the_operator(rng):
    H = torch.randn(12, 12, generator=rng, dtype=torch.float64)
    H = H + H.T
    u = torch.randn(12, generator=rng, dtype=torch.float64)
    operator = dense.MatrixOperator(H)
    V, T = krylov(operator, u, 6)
    assert operator.matvecs == 6
    assert V.shape == (12, 6)
    torch.testing.assert_close(V.T @ V, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(V[:, 0], u / u.norm())
    torch.testing.assert_close(T, V.T @ H @ V, rtol=1e-9, atol=1e-11)
    eye, small = torch.eye(12, dtype=torch.float64), torch.eye(6, dtype=torch.float64)
    for j in range(6):
        truth = torch.linalg.matrix_power(eye - 0.1 * H, j) @ u
        found = u.norm() * V @ torch.linalg.matrix_power(small - 0.1 * T, j)[:, 0]
        torch.testing.assert_close(found, truth, rtol=1e-9, atol=1e-11)


def test_krylov_ends_where_the_space_closes(rng):
    Q = torch.linalg.qr(torch.randn(9, 9, generator=rng, dtype=torch.float64)).Q
    values = torch.arange(1.0, 10.0, dtype=torch.float64)
    H = Q @ values.diag() @ Q.T
    u = Q[:, [1, 4, 8]] @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    V, T = krylov(dense.MatrixOperator(H), u, 7)
    assert V.shape == (9, 3)
    torch.testing.assert_close(torch.linalg.eigvalsh(T), values[[1, 4, 8]])
    power = torch.linalg.matrix_power(torch.eye(3, dtype=torch.float64) - 0.1 * T, 20)[:, 0]
    truth = torch.linalg.matrix_power(torch.eye(9, dtype=torch.float64) - 0.1 * H, 20) @ u
    torch.testing.assert_close(u.norm() * V @ power, truth, rtol=1e-9, atol=1e-11)


def test_a_transformer_is_predicted_as_its_dense_matrices_say(draw_model, rng):
    """Third derivatives by differences of dense Hessians along the tangent."""
    model = draw_model(ModelSettings(vocab_size=7, context=4, depth=1, width=4, heads=1, kv_heads=1))
    tokens = torch.randint(7, (6, 5), generator=rng)
    a = flat_weights(model)
    tangent = torch.randn(len(a), generator=rng, dtype=torch.float64)
    tangent = tangent / tangent.norm()
    path = Path(torch.stack([a - 0.5 * tangent, a + 0.5 * tangent]))
    large = 10**8  # the excursion goes as 1/√B: ReLU² has kinks to keep clear of
    (row,) = predicted_drift(
        model, sequence_losses, tokens, path, [0.5], [Setting(0.02, 4)], batches=[large], probes=25, seed=0
    ).itertuples()
    sides = []
    for sign in (1, -1):
        with at_weights(model, a + sign * 1e-5 * tangent):
            sides.append(dense.hessian(model, sequence_losses, tokens))
    bend = (sides[0] - sides[1]) / 2e-5
    H = (sides[0] + sides[1]) / 2
    sigma = torch.cov(scores(model, sequence_losses, tokens).T, correction=0)
    C = covariances(H, sigma, 0.02, large, 4)
    truth = -0.01 * sum((bend * C[n]).sum().item() for n in (1, 2, 3))
    assert abs(row.predicted - truth) <= 5 * row.predicted_se


def test_bad_input_and_divergence_are_named(rng):
    problem = Valley(rng, 0.5)
    common = (problem.model, problem.loss, problem.data, problem.path)
    for followed in (1, 11):
        with pytest.raises(InputError, match=f"followed = {followed} must lie between 2 and replicas = 10"):
            DriftSettings(learning_rate=0.1, batch=1, steps=2, replicas=10, followed=followed)
    steep = DriftSettings(learning_rate=1e3, batch=1, steps=40, replicas=4, followed=2)
    with pytest.raises(FloatingPointError, match=r"diverged within 40 steps: learning rate 1000.0"):
        drift(*common, [0.5], steep, seed=0)
    good = DriftSettings(learning_rate=0.1, batch=1, steps=2, replicas=4, followed=2)
    with pytest.raises(InputError, match="outside"):
        drift(*common, [1.5], good, seed=0)
