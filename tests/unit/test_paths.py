import pytest
import torch

from valleyscope.errors import InputError
from valleyscope.paths import Path, straight_line


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


def test_spaced_points_lie_on_the_path_at_equal_distances_along_it(path):
    points = path.spaced(9)
    assert torch.equal(points[[0, -1]], path.pivots[[0, -1]])
    # Truth: walk from corner to corner.
    lengths = path.pivots.diff(dim=0).norm(dim=1).tolist()
    for i in range(1, 8):
        left, corner = sum(lengths) * i / 8, 0
        while left > lengths[corner]:
            left, corner = left - lengths[corner], corner + 1
        share = left / lengths[corner]
        truth = (1 - share) * path.pivots[corner] + share * path.pivots[corner + 1]
        torch.testing.assert_close(points[i], truth)


def test_spaced_keeps_the_type_and_two_points_are_the_ends(path):
    single = Path(path.pivots.float())
    assert single.spaced(4).dtype == torch.float32
    assert torch.equal(path.spaced(2), path.pivots[[0, -1]])


def test_evenness_is_the_longest_over_the_shortest_segment(path):
    lengths = [(b - a).norm().item() for a, b in zip(path.pivots[:-1], path.pivots[1:], strict=True)]
    assert path.evenness == pytest.approx(max(lengths) / min(lengths), rel=1e-12)
    assert path.evenness > 1.01
    assert Path(straight_line(*path.pivots[:2]).spaced(7)).evenness == pytest.approx(1, rel=1e-9)


def test_a_spline_keeps_the_pivots_and_follows_a_smooth_curve(rng):
    Q = torch.linalg.qr(torch.randn(5, 2, generator=rng, dtype=torch.float64)).Q

    def circle(angles):
        return torch.stack([angles.cos(), angles.sin()], 1) @ Q.T

    coarse = Path(circle(torch.linspace(0, 3, 9, dtype=torch.float64)))
    fine = coarse.splined(4)
    assert len(fine.pivots) == 4 * 8 + 1
    assert torch.equal(fine.pivots[::4], coarse.pivots)
    assert (fine.pivots.norm(dim=1) - 1).abs().max() < 2e-3  # of the chords' middles: 1.8e-2
    assert fine.length == pytest.approx(3, rel=1e-3)
    assert coarse.splined(1) is coarse
    line = straight_line(*torch.randn(2, 5, generator=rng))
    assert line.splined(4) is line


def test_middles_of_segments_are_those_nearest_to_even_spacing():
    path = Path(torch.tensor([0.0, 0.1, 0.2, 0.6, 1.0], dtype=torch.float64)[:, None])
    assert path.segment_middles(1) == pytest.approx([0.4])
    assert path.segment_middles(2) == pytest.approx([0.15, 0.8])
    with pytest.raises(InputError, match="4 segments has not 4 middles"):
        path.segment_middles(4)
    even = Path(torch.linspace(0, 1, 82, dtype=torch.float64)[:, None])  # 81 segments
    assert even.segment_middles(9) == pytest.approx([(i + 0.5) / 9 for i in range(9)])
    assert even.segment_middles(81) == pytest.approx([(i + 0.5) / 81 for i in range(81)])
