import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

import valleyscope.readings.paths as readings
from valleyscope.connectivity.finders import (
    BASES,
    FINDERS,
    CurveSettings,
    Descent,
    NebSettings,
    autoneb,
    band_forces,
    bernstein,
    curve_path,
    hats,
    relax,
    train_curve,
)
from valleyscope.paths import straight_line

FLOOR = 0.1
NOTHING = torch.zeros(1, 1, dtype=torch.float64)  # one sample: minibatches without noise


class Point(nn.Module):
    """A model that is its weights."""

    def __init__(self, size=2):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(size, dtype=torch.float64))


def ring_loss(w):
    return FLOOR + (w.square().sum(-1) - 1) ** 2


def ring(model, batch):
    """The straight line between opposite points crosses the hill at 0, the ring does not."""
    return ring_loss(model.w) + 0 * batch[:, 0]


def linear(model, batch):
    """w·ξ: every point has the gradient ξ of its minibatch."""
    return batch @ model.w


def noisy_ring(model, batch):
    return ring_loss(model.w) + linear(model, batch)


def opposite(rng, size=2):
    """Ends on the ring, 160° apart in a random orientation."""
    Q = torch.linalg.qr(torch.randn(size, 2, generator=rng, dtype=torch.float64)).Q
    angles = torch.tensor([math.radians(10), math.radians(170)], dtype=torch.float64)
    return torch.stack([angles.cos(), angles.sin()], 1) @ Q.T


def descent(steps, learning_rates, *, batch=2, momentum=0.9, weight_decay=0.0):
    return Descent(momentum, weight_decay, steps, [batch] * len(steps), learning_rates)


# Bases


@pytest.mark.parametrize("degree", [1, 2, 3, 6])
def test_bernstein_polynomials_sum_to_one_and_are_de_casteljaus(rng, degree):
    t = torch.rand(9, generator=rng, dtype=torch.float64).numpy()
    b = bernstein(t, degree)
    assert b.shape == (9, degree + 1)
    np.testing.assert_allclose(b.sum(1), 1, rtol=1e-12)
    points = torch.randn(degree + 1, 4, generator=rng, dtype=torch.float64).numpy()
    for position, weights in zip(t, b, strict=True):
        left = points
        while len(left) > 1:
            left = (1 - position) * left[:-1] + position * left[1:]
        np.testing.assert_allclose(weights @ points, left[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("degree", [1, 2, 5])
def test_hats_interpolate_between_neighbouring_knots(rng, degree):
    t = torch.rand(20, generator=rng, dtype=torch.float64).numpy()
    b = hats(t, degree)
    np.testing.assert_allclose(b.sum(1), 1, rtol=1e-12)
    values = torch.randn(degree + 1, generator=rng, dtype=torch.float64).numpy()
    np.testing.assert_allclose(b @ values, np.interp(t, np.linspace(0, 1, degree + 1), values), atol=1e-12)
    np.testing.assert_allclose(hats(np.linspace(0, 1, degree + 1), degree), np.eye(degree + 1), atol=1e-12)


@pytest.mark.parametrize("basis", BASES)
def test_a_basis_takes_the_end_points_at_both_ends(basis):
    np.testing.assert_array_equal(BASES[basis](np.array([0.0, 1.0]), 3), [[1, 0, 0, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize("basis", BASES)
def test_a_curve_becomes_a_polygon_of_its_points(rng, basis):
    control = torch.randn(4, 6, generator=rng)
    path = curve_path(control, basis, 7)
    assert path.pivots.dtype == torch.float32
    assert torch.equal(path.pivots[[0, -1]], control[[0, -1]])
    for i in range(7):
        t, p = i / 6, control.double()
        if basis == "bezier":
            truth = (
                (1 - t) ** 3 * p[0] + 3 * t * (1 - t) ** 2 * p[1] + 3 * t**2 * (1 - t) * p[2] + t**3 * p[3]
            )
        else:
            k = min(int(3 * t), 2)
            truth = p[k] + (3 * t - k) * (p[k + 1] - p[k])
        torch.testing.assert_close(path.pivots[i].double(), truth, rtol=1e-5, atol=1e-6)


# The band


@pytest.mark.parametrize("bend", [0.1, 3.0], ids=["nearly straight", "kinked"])
def test_band_forces_equal_a_loop_with_dense_projectors(rng, bend):
    line = torch.linspace(0, 3, 7, dtype=torch.float64)[:, None] * torch.ones(5, dtype=torch.float64)
    points = line + bend * torch.randn(7, 5, generator=rng, dtype=torch.float64)
    gradient = torch.randn(5, 5, generator=rng, dtype=torch.float64)
    found = band_forces(points, gradient, 0.7)
    for i in range(1, 6):
        before, after = points[i] - points[i - 1], points[i + 1] - points[i]
        tangent = before / before.norm() + after / after.norm()
        tangent = tangent / tangent.norm()
        across = torch.eye(5, dtype=torch.float64) - torch.outer(tangent, tangent)
        cosine = max(0.0, torch.dot(before, after).item() / (before.norm() * after.norm()).item())
        kink = (1 + math.cos(math.pi * cosine)) / 2
        truth = -across @ gradient[i - 1]
        truth = (
            truth + 0.7 * (after.norm() - before.norm()) * tangent + kink * 0.7 * across @ (after - before)
        )
        torch.testing.assert_close(found[i - 1], truth, rtol=1e-9, atol=1e-11)


def test_a_straight_even_band_feels_the_gradient_across_it_only(rng):
    points = straight_line(*torch.randn(2, 6, generator=rng, dtype=torch.float64)).spaced(5)
    tangent = (points[-1] - points[0]) / (points[-1] - points[0]).norm()
    gradient = torch.randn(3, 6, generator=rng, dtype=torch.float64)
    found = band_forces(points, gradient, 50.0)
    torch.testing.assert_close(found, -gradient + torch.outer(gradient @ tangent, tangent), atol=1e-9, rtol=0)
    assert band_forces(points, torch.zeros_like(gradient), 50.0).abs().max() < 1e-9


def test_springs_even_out_a_straight_band():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [4.0, 0.0]], dtype=torch.float64)
    assert band_forces(points, torch.zeros(1, 2, dtype=torch.float64), 0.5)[0].tolist() == pytest.approx(
        [1, 0]
    )


def test_springs_pull_all_of_a_right_angle_and_none_of_a_straight_line():
    corner = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    nothing = torch.zeros(1, 2, dtype=torch.float64)
    assert band_forces(corner, nothing, 0.5)[0].tolist() == pytest.approx([-0.5, 0.5])
    slight = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.01]], dtype=torch.float64)
    assert band_forces(slight, nothing, 0.5).norm() < 1e-4  # f vanishes with the fourth power of the angle


# Searches on landscapes with known paths


def channel(model, batch):
    """Floor y = c x (1 − x), c from the data: a parabola, in which one curve of degree 2 or 3 lies."""
    x, y = model.w
    return FLOOR + 3 * (y - batch[:, 0] * x * (1 - x)) ** 2


@pytest.mark.parametrize("degree", [2, 3])
def test_a_bezier_curve_finds_the_channel_it_can_follow(rng, degree):
    c = 0.5 + 0.5 * torch.rand(1, 1, generator=rng, dtype=torch.float64)
    ends = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    settings = CurveSettings(degree=degree, samples=8, pivots=9)
    control = train_curve(Point(), channel, c, ends, descent([300], [0.4]), "bezier", settings, seed=0)
    inner = {2: [[0.5, 0.5]], 3: [[1 / 3, 1 / 3], [2 / 3, 1 / 3]]}[degree]
    truth = torch.tensor(inner, dtype=torch.float64) * torch.tensor([1.0, c.item()], dtype=torch.float64)
    close = {2: 1e-3, 3: 0.03}[degree]  # with two control points, one direction hardly counts
    torch.testing.assert_close(control[1:-1], truth, rtol=0, atol=close)
    x, y = curve_path(control, "bezier", 9).pivots.T
    torch.testing.assert_close(y, c.item() * x * (1 - x), rtol=0, atol=close / 5)


@pytest.mark.parametrize(("basis", "degree"), [("bezier", 2), ("bezier", 3), ("polygon", 5)])
def test_a_curve_follows_a_ring_as_closely_as_its_basis_can(rng, basis, degree):
    ends = opposite(rng)
    settings = CurveSettings(degree=degree, samples=8, pivots=33)
    plan = descent([100, 50], [0.05, 0.01])
    control = train_curve(Point(), ring, NOTHING, ends, plan, basis, settings, seed=1)
    b = torch.from_numpy(BASES[basis](np.linspace(0, 1, 401), degree))

    def mean_loss(inner):
        curve = b @ torch.cat([ends[:1], torch.as_tensor(inner).view(-1, 2), ends[1:]])
        return ring_loss(curve).mean().item()

    # Truth: the mean over a fine grid, minimised from control points outside the ring.
    outside = 1.5 * ends.sum(0) / ends.sum(0).norm() + straight_line(*ends).spaced(degree + 1)[1:-1]
    best = minimize(mean_loss, outside.flatten().numpy(), method="BFGS", options={"maxiter": 40}).fun
    assert FLOOR <= best < FLOOR + 0.1
    assert 0.999 * best <= mean_loss(control[1:-1]) <= best + 0.01
    path = curve_path(control, basis, settings.pivots)
    assert ring_loss(path.pivots).max() < FLOOR + 0.25  # of the straight line: FLOOR + 0.94
    assert path.length == pytest.approx(math.radians(160), rel=0.15)
    assert torch.equal(control[[0, -1]], ends)


def test_autoneb_follows_a_ring_and_is_even(rng):
    ends = opposite(rng, 4)
    neb = NebSettings(pivots=7, spring=2.0, insert_above=1.2, most_pivots=20, refine=1)
    kept = []
    path = autoneb(
        Point(4), ring, NOTHING, ends, descent([150, 200], [0.03, 0.03]), neb, seed=0, on_cycle=kept.append
    )
    assert torch.equal(path.pivots[[0, -1]], ends)
    torch.testing.assert_close(path.pivots.norm(dim=1), torch.ones(9, dtype=torch.float64), rtol=0, atol=1e-3)
    assert path.evenness < 1.02
    chord = 2 * math.sin(math.radians(160) / 8 / 2)
    assert path.length == pytest.approx(8 * chord, rel=1e-3)
    assert [search.cycle for search in kept] == [1, 2]
    assert kept[-1].history[-1] == pytest.approx(FLOOR, abs=1e-4)


def test_autoneb_follows_a_winding_channel_turned_into_more_dimensions(rng):
    """y = sin x from (0, 0) to (2π, 0), with a bowl across it in the other directions."""
    Q = torch.linalg.qr(torch.randn(5, 5, generator=rng, dtype=torch.float64)).Q
    centre = torch.randn(5, generator=rng, dtype=torch.float64)

    def winding(model, batch):
        z = Q.T @ (model.w - centre)
        return FLOOR + 2 * (z[1] - z[0].sin()) ** 2 + z[2:].square().sum() + 0 * batch[:, 0]

    ends = torch.zeros(2, 5, dtype=torch.float64)
    ends[1, 0] = 2 * math.pi
    neb = NebSettings(pivots=5, spring=1.0, insert_above=1.02, most_pivots=15, refine=1)
    path = autoneb(
        Point(5),
        winding,
        NOTHING,
        ends @ Q.T + centre,
        descent([100, 100, 250], [0.05] * 3),
        neb,
        seed=0,
    )
    assert 7 < len(path.pivots) <= 17
    z = (path.pivots - centre) @ Q
    torch.testing.assert_close(z[:, 1], z[:, 0].sin(), rtol=0, atol=2e-3)
    assert z[:, 2:].abs().max() < 2e-3
    assert (z[:, 0].diff() > 0).all()
    assert path.evenness < 1.05
    assert path.length == pytest.approx(7.6404, rel=0.02)  # ∫ √(1 + cos²x) dx; chords are shorter


# Insertion


@pytest.mark.parametrize(("most", "insert_above"), [(9, 1.3), (4, 1.3), (3, 1.3), (2, 1.3), (9, 4.0)])
def test_pivots_are_inserted_where_the_middle_lies_too_high(rng, most, insert_above):
    higher_end = 1.2
    middles = torch.tensor([0.125, 0.375, 0.625, 0.875], dtype=torch.float64)
    spread = torch.rand(4, generator=rng, dtype=torch.float64)
    # Two above 1.3 of the higher end, one above 1.3 of the lower end only, one below, in any order.
    losses = torch.tensor([2.5, 1.6, 1.35, 1.05], dtype=torch.float64) + 0.2 * spread
    losses = losses[torch.randperm(4, generator=rng)]

    def bumps(model, batch):
        """1 to 1.2 from end to end, with bumps in the middles of the four segments; samples differ."""
        x = model.w[0]
        base = 1 + (higher_end - 1) * x
        heights = losses - (1 + (higher_end - 1) * middles)
        wells = (heights * torch.exp(-(((x - middles) / 0.01) ** 2))).sum()
        return (base + wells) * batch[:, 0]

    data = torch.tensor([[0.5], [1.0], [1.5]], dtype=torch.float64)
    ends = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    neb = NebSettings(pivots=3, spring=1.0, insert_above=insert_above, most_pivots=most, refine=1)
    kept = []
    path = autoneb(Point(), bumps, data, ends, descent([1, 1], [0.0, 0.0]), neb, seed=0, on_cycle=kept.append)
    high = sorted(zip(losses.tolist(), middles.tolist(), strict=True), reverse=True)
    high = [m for loss, m in high if loss > insert_above * higher_end][: max(0, most - 3)]
    truth = sorted([0, 0.25, 0.5, 0.75, 1, *high])
    assert kept[0].points[:, 0].tolist() == pytest.approx(truth)
    assert torch.equal(path.pivots, kept[0].points)
    once = autoneb(Point(), bumps, data, ends, descent([1], [0.0]), neb, seed=0)
    assert len(once.pivots) == 5  # none is inserted after the last cycle


# Searches with noise


def searches(ends, data, plan, **options):
    """Each finder's result on the noisy ring, as a tensor, by name."""
    common = (Point(3), noisy_ring, data, ends, plan)
    curve = CurveSettings(degree=3, samples=5, pivots=9)
    neb = NebSettings(pivots=3, spring=0.5, insert_above=1.05, most_pivots=6, refine=1)
    return {
        "bezier": lambda **more: train_curve(*common, "bezier", curve, **options, **more),
        "polygon": lambda **more: train_curve(*common, "polygon", curve, **options, **more),
        "autoneb": lambda **more: autoneb(*common, neb, **options, **more).pivots,
    }


NOISY = descent([12, 11, 10], [0.05, 0.03, 0.01], weight_decay=0.01)


@pytest.fixture
def noise(rng):
    xi = 0.3 * torch.randn(6, 3, generator=rng, dtype=torch.float64)
    return xi - xi.mean(0)


@pytest.mark.parametrize("finder", ["bezier", "polygon", "autoneb"])
def test_an_interrupted_search_goes_on_to_the_same_bits(rng, noise, finder):
    ends = opposite(rng, 3)
    before = ends.clone()
    search = searches(ends, noise, NOISY, seed=5)[finder]
    kept, seen = [], []
    whole = search(on_cycle=kept.append, on_step=lambda steps, loss: seen.append(loss))
    assert len(seen) == 33
    assert [s.cycle for s in kept] == [1, 2, 3]
    # The mean over the last tenth of each cycle, one step of so few.
    assert kept[-1].history == pytest.approx([seen[11], seen[22], seen[32]])
    for state in kept:
        again = []
        assert torch.equal(search(resume=state, on_cycle=again.append), whole)
        assert all(torch.equal(a.points, b.points) for a, b in zip(again, kept[state.cycle :], strict=True))
        assert not again or again[-1].history == kept[-1].history
    assert torch.equal(search(), whole)
    assert not torch.equal(searches(ends, noise, NOISY, seed=6)[finder](), whole)
    assert not torch.equal(kept[0].points[1], kept[1].points[1])
    assert torch.equal(ends, before)
    for state in kept:
        assert torch.equal(state.points[[0, -1]], ends)


def test_cycles_differ_in_their_draws(rng, noise):
    """With a loss linear in the weights, what a cycle adds up is the sum of its draws."""
    kept = []
    curve = CurveSettings(degree=2, samples=1, pivots=3)
    ends = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    plan = descent([1, 1], [0.1, 0.1], batch=4, momentum=0.0)
    train_curve(Point(3), linear, noise, ends, plan, "polygon", curve, seed=0, on_cycle=kept.append)
    first = kept[0].points[1] - ends.mean(0)
    second = kept[1].points[1] - kept[0].points[1]
    assert torch.cosine_similarity(first, second, dim=0).abs() < 1 - 1e-6


def test_all_points_see_the_same_minibatch(rng, noise):
    """Σ ξ = 0, so what moves the points is the noise of the minibatch."""
    model, plan = Point(3), descent([1], [0.1], batch=2, momentum=0.0)
    starts = torch.randn(4, 3, generator=rng, dtype=torch.float64)
    moved = relax(model, linear, noise, starts, plan, seed=0) - starts
    assert moved.norm(dim=1).min() > 1e-4
    torch.testing.assert_close(moved, moved[:1].expand(4, 3))
    # Of both samples of the batch, one mean.
    means = (noise[:, None] + noise[None]) / 2
    assert (means * -0.1 - moved[0]).norm(dim=-1).min() < 1e-12

    ends = starts[:2]
    line = straight_line(*ends).spaced(6)
    neb = NebSettings(pivots=4, spring=1.0, insert_above=100.0, most_pivots=4, refine=1)
    moved = (autoneb(model, linear, noise, ends, plan, neb, seed=0).pivots - line)[1:-1]
    assert moved.norm(dim=1).min() > 1e-4
    torch.testing.assert_close(moved, moved[:1].expand(4, 3))
    assert (moved @ (ends[1] - ends[0])).abs().max() < 1e-9

    curve = CurveSettings(degree=3, samples=6, pivots=4)
    moved = train_curve(model, linear, noise, ends, plan, "bezier", curve, seed=0) - straight_line(
        *ends
    ).spaced(4)
    assert torch.linalg.matrix_rank(moved[1:-1], rtol=1e-9) == 1
    assert moved[1:-1].norm(dim=1).min() > 1e-4


@pytest.mark.parametrize(("basis", "degree"), [("bezier", 3), ("polygon", 4)])
def test_a_curves_step_is_the_gradient_of_the_mean_over_the_curve(rng, basis, degree):
    """Of w·ξ it is ξ ∫ b_i dt, 1 / (d + 1) for Bernstein polynomials and 1 / d for hats; both times d."""
    xi = torch.randn(1, 3, generator=rng, dtype=torch.float64)
    ends = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    settings = CurveSettings(degree=degree, samples=400, pivots=5)
    control = train_curve(
        Point(3), linear, xi, ends, descent([1], [0.2], momentum=0.0), basis, settings, seed=0
    )
    share = degree / (degree + 1) if basis == "bezier" else 1.0
    moved = (control - straight_line(*ends).spaced(degree + 1))[1:-1]
    torch.testing.assert_close(moved, -0.2 * share * xi.expand(degree - 1, 3), rtol=5e-3, atol=1e-6)


def test_relaxing_equals_torchs_own_sgd_with_a_fresh_momentum_in_each_cycle(rng):
    data = torch.randn(1, 3, generator=rng, dtype=torch.float64)
    starts = torch.randn(3, 3, generator=rng, dtype=torch.float64)
    plan = descent([7, 4], [0.02, 0.01], weight_decay=0.3)
    found = relax(Point(3), noisy_ring, data, starts, plan, seed=0)
    for row, start in enumerate(starts):
        model = Point(3)
        with torch.no_grad():
            model.w.copy_(start)
        for steps, rate in zip(plan.steps, plan.learning_rates, strict=True):
            optimiser = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=0.3)
            for _ in range(steps):
                optimiser.zero_grad()
                noisy_ring(model, data).mean().backward()
                optimiser.step()
        torch.testing.assert_close(found[row], model.w.detach(), rtol=1e-10, atol=1e-12)


def test_relaxing_reaches_the_valley_floor_point_by_point(rng):
    starts = torch.randn(4, 3, generator=rng, dtype=torch.float64)
    starts = starts / starts.norm(dim=1, keepdim=True) * torch.tensor([[0.7], [0.9], [1.1], [1.3]])
    before = starts.clone()
    seen = []
    relaxed = relax(
        Point(3),
        ring,
        NOTHING,
        starts,
        descent([200], [0.02]),
        seed=0,
        on_step=lambda n, loss: seen.append(loss),
    )
    torch.testing.assert_close(relaxed, starts / starts.norm(dim=1, keepdim=True), rtol=0, atol=1e-4)
    assert torch.equal(starts, before)
    assert len(seen) == 200
    assert seen[0] == pytest.approx(ring_loss(starts).mean().item())


# Bad input


def test_bad_ends_are_refused(noise):
    plan, good = descent([2], [0.1]), torch.eye(2, 3, dtype=torch.float64)
    bad = {
        "weights have shape": good[:, :2],
        "coincide": good[[0, 0]],
        "pivots is not finite": torch.tensor([[0.0, 1.0, 2.0], [0.0, float("nan"), 1.0]]).double(),
    }
    for words, ends in bad.items():
        for run in searches(ends, noise, plan, seed=0).values():
            with pytest.raises((ValueError, FloatingPointError), match=words):
                run()
    with pytest.raises(FloatingPointError, match="cycle 0, step 0"):
        relax(Point(3), noisy_ring, noise, good * float("nan"), plan, seed=0)


def test_divergence_is_named_with_its_cycle_and_step(rng, noise):
    plan = descent([2, 60], [0.01, 50.0])
    for run in searches(opposite(rng, 3), noise, plan, seed=0).values():
        with pytest.raises(FloatingPointError, match=r"path in cycle 1, step \d+|path after cycle 1"):
            run()


def test_a_batch_of_zero_is_the_whole_data(rng, noise):
    """The mean of w·ξ over the whole data is 0: nothing moves, in this cycle only."""
    starts = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    still = Descent(0.0, 0.0, [3], [0], [0.1])
    torch.testing.assert_close(relax(Point(3), linear, noise, starts, still, seed=0), starts)
    mixed = Descent(0.0, 0.0, [3, 3], [0, 2], [0.1, 0.1])
    assert (relax(Point(3), linear, noise, starts, mixed, seed=0) - starts).norm() > 1e-3


def test_the_band_becomes_the_spline_through_its_pivots(rng):
    ends = opposite(rng, 4)
    plan = descent([150], [0.03])
    coarse, fine = (
        autoneb(
            Point(4),
            ring,
            NOTHING,
            ends,
            plan,
            NebSettings(pivots=7, spring=2.0, insert_above=1.2, most_pivots=7, refine=refine),
            seed=0,
        )
        for refine in (1, 5)
    )
    assert len(fine.pivots) == 5 * 8 + 1
    torch.testing.assert_close(fine.pivots[::5], coarse.pivots)

    def sag(path):  # of the middles of segments, from the ring
        return (1 - torch.stack([path.point(t) for t in path.segment_middles(8)]).norm(dim=1)).abs().max()

    assert sag(fine) < sag(coarse) / 10


def test_one_entry_a_cycle():
    for steps, rates in (([1, 2], [0.1]), ([], [])):
        with pytest.raises(ValueError, match="one entry a cycle"):
            descent(steps, rates)


# The table of finders


def test_finders_are_those_that_readings_name():
    assert list(FINDERS) == list(readings.FINDERS)


@pytest.mark.parametrize("kind", FINDERS)
def test_a_finder_joins_the_ends_by_its_own_search(rng, kind):
    ends, plan = opposite(rng), descent([20], [0.02])
    settings = {
        "straight": {},
        "bezier": {"degree": 3, "samples": 4, "pivots": 7},
        "polygon": {"degree": 4, "samples": 4, "pivots": 7},
        "autoneb": {"pivots": 3, "spring": 1.0, "insert_above": 1.1, "most_pivots": 5, "refine": 2},
    }[kind]
    settings = FINDERS[kind].settings(**settings)
    common = (Point(), ring, NOTHING, ends, plan)
    found = FINDERS[kind].find(*common, settings, seed=1, resume=None)
    if kind in BASES:
        points = train_curve(*common, kind, settings, seed=1)
        truth = curve_path(points, kind, settings.pivots)
    else:
        truth = straight_line(*ends) if kind == "straight" else autoneb(*common, settings, seed=1)
    assert torch.equal(found.pivots, truth.pivots)
    torch.testing.assert_close(found.pivots[[0, -1]], ends)


def test_a_straight_line_takes_no_settings():
    with pytest.raises(TypeError):
        FINDERS["straight"].settings(pivots=3)
