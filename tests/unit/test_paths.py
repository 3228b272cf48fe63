import pytest
import torch
from torch import nn

from valleyscope.paths import Path, PolygonSettings, relax_ends, straight_line, train_polygon


@pytest.fixture
def path(rng):
    return Path(torch.randn(6, 5, generator=rng, dtype=torch.float64))


def test_arc_length_parametrisation():
    path = Path(torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0]], dtype=torch.float64))
    assert path.length == pytest.approx(4)
    assert path.pivot_positions.tolist() == pytest.approx([0, 0.75, 1])
    for t, point in ((0, [0, 0]), (0.5, [2, 0]), (0.75, [3, 0]), (0.875, [3, 0.5]), (1, [3, 1])):
        assert path.point(t).tolist() == pytest.approx(point)
    assert path.tangent(0.5).tolist() == pytest.approx([1, 0])
    assert path.tangent(0.75).tolist() == pytest.approx([0, 1])
    assert path.tangent(1).tolist() == pytest.approx([0, 1])


def test_equal_steps_in_t_are_equal_steps_in_length(path):
    fine = torch.stack([path.point(t) for t in torch.linspace(0, 1, 4001, dtype=torch.float64).tolist()])
    assert fine.diff(dim=0).norm(dim=1).sum().item() == pytest.approx(
        path.length, rel=1e-3
    )  # chords cut corners
    first_half = fine[:2001].diff(dim=0).norm(dim=1).sum().item()
    assert first_half == pytest.approx(path.length / 2, rel=1e-3)


def test_projection_equals_a_dense_search(path, rng):
    queries = 2 * torch.randn(20, 5, generator=rng, dtype=torch.float64)
    grid = torch.linspace(0, 1, 20001, dtype=torch.float64)
    points = torch.stack([path.point(t) for t in grid.tolist()])
    distances = torch.cdist(queries, points)
    found = path.project(queries)
    assert (found.distance <= distances.min(1).values + 1e-12).all()
    torch.testing.assert_close(found.distance, distances.min(1).values, rtol=0, atol=path.length / 20000)
    torch.testing.assert_close(found.distance, (queries - found.point).norm(dim=1))
    for position, point in zip(found.position.tolist(), found.point, strict=True):
        torch.testing.assert_close(path.point(position), point)


def test_projection_of_a_point_of_the_path_is_itself(path):
    for t in (0.0, 0.3, 0.77, 1.0):
        found = path.project(path.point(t))
        assert found.position.item() == pytest.approx(t, abs=1e-9)
        assert found.distance.item() == pytest.approx(0, abs=1e-9)


def test_batched_like_its_input(path, rng):
    single = path.project(torch.randn(5, generator=rng, dtype=torch.float64))
    assert single.position.shape == single.distance.shape == ()
    assert single.point.shape == (5,)
    batch = path.project(torch.randn(3, 5, generator=rng, dtype=torch.float64))
    assert batch.position.shape == batch.distance.shape == (3,)
    assert batch.point.shape == (3, 5)


def test_float32_far_from_the_origin_keeps_its_digits(rng):
    offset = 1e3 * torch.randn(200, generator=rng)
    pivots = offset + torch.randn(4, 200, generator=rng)
    path = Path(pivots)
    t = 0.4321
    displaced = path.point(t) + 1e-3 * torch.randn(200, generator=rng)
    assert path.project(displaced).position.item() == pytest.approx(t, abs=1e-3)
    assert path.project(displaced).point.dtype == torch.float32


def test_bad_paths_are_refused(path):
    with pytest.raises(ValueError, match="outside"):
        path.point(1.01)
    with pytest.raises(ValueError, match="different shapes"):
        straight_line(torch.zeros(3), torch.zeros(4))
    with pytest.raises(ValueError, match="coincide"):
        straight_line(torch.zeros(3), torch.zeros(3))
    with pytest.raises(ValueError, match="needs"):
        Path(torch.zeros(1, 3))
    with pytest.raises(FloatingPointError, match="pivots"):
        Path(torch.tensor([[0.0], [float("nan")]]))


class Point(nn.Module):
    """A model that is its weights: two coordinates."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2, dtype=torch.float64))


def test_polygon_follows_a_ring_shaped_valley():
    """Loss (|w|² − 1)²: the straight line crosses the hill at 0, the ring does not."""

    def ring(model, batch):
        return (model.w.square().sum() - 1).square() + 0 * batch[:, 0]

    ends = torch.tensor([[1.0, 0.1], [-1.0, 0.1]], dtype=torch.float64)
    ends = ends / ends.norm(dim=1, keepdim=True)
    data = torch.zeros(4, 1, dtype=torch.float64)
    settings = PolygonSettings(pivots=9, steps=400, batch=2, learning_rate=0.03, record_every=100)
    seen = []
    path = train_polygon(
        Point(), ring, data, ends, settings, seed=0, on_record=lambda s, loss: seen.append(s)
    )
    assert seen == [100, 200, 300, 400]
    torch.testing.assert_close(path.pivots[[0, -1]], ends)
    points = torch.stack([path.point(t / 200) for t in range(201)])
    loss = (points.square().sum(1) - 1).square()
    assert loss.max() < 0.02  # the straight line reaches 0.98
    assert path.length == pytest.approx(3.14 - 2 * 0.0997, rel=0.1)


def test_relaxing_reaches_the_valley_floor_point_by_point():
    def bowl(model, batch):
        return (model.w - batch).square().sum(1)

    data = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    ends = torch.tensor([[0.0, 0.0], [5.0, 1.0]], dtype=torch.float64)
    settings = PolygonSettings(pivots=1, steps=800, batch=8, learning_rate=0.05, record_every=400)
    relaxed = relax_ends(Point(), bowl, data, ends, settings, seed=0)
    torch.testing.assert_close(relaxed, data.mean(0).expand(2, 2), rtol=0, atol=0.1)
    assert torch.equal(ends[0], torch.zeros(2, dtype=torch.float64))
