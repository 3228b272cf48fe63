"""Paths between two points of weight space: polygons and their geometry.

A polygon through pivots p_0 … p_{P-1} is parametrised by arc length, t in [0, 1].
Geometry is computed in float64, whatever the pivots' type.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from valleyscope.engine.weights import require_finite
from valleyscope.errors import InputError


@dataclass(frozen=True)
class Projection:
    """Nearest point of a path: position in [0, 1], point, distance; batched like the input."""

    position: Tensor
    point: Tensor
    distance: Tensor


class Path:
    """The polygon through `pivots` (P, N), P ≥ 2, consecutive ones distinct."""

    def __init__(self, pivots: Tensor):
        if pivots.ndim != 2 or len(pivots) < 2:
            raise InputError(f"pivots have shape {tuple(pivots.shape)}; a path needs (P >= 2, N)")
        require_finite(pivots, "a path's pivots")
        self.pivots = pivots
        if not (self._segment_lengths > 0).all():
            raise InputError("two consecutive pivots coincide; remove one")

    @cached_property
    def _steps(self) -> Tensor:  # (P - 1, N)
        return self.pivots.double().diff(dim=0)

    @cached_property
    def _segment_lengths(self) -> Tensor:  # (P - 1,)
        return self._steps.norm(dim=1)

    @cached_property
    def _arc(self) -> Tensor:  # (P,) arc length at each pivot
        return torch.cat([self._segment_lengths.new_zeros(1), self._segment_lengths.cumsum(0)])

    @property
    def length(self) -> float:
        """Total arc length."""
        return self._arc[-1].item()

    @property
    def evenness(self) -> float:
        """Longest over shortest segment."""
        return (self._segment_lengths.max() / self._segment_lengths.min()).item()

    @property
    def pivot_positions(self) -> Tensor:
        """Position t of each pivot (P,)."""
        return self._arc / self._arc[-1]

    def _locate(self, t: float) -> tuple[int, float]:
        """Segment that holds position t, and the fraction of it that lies before t."""
        if not 0 <= t <= 1:
            raise InputError(f"position t = {t} lies outside [0, 1]")
        arc = t * self._arc[-1]
        index = int(torch.searchsorted(self._arc[1:-1].contiguous(), arc, right=True))
        return index, ((arc - self._arc[index]) / self._segment_lengths[index]).item()

    def point(self, t: float) -> Tensor:
        """The point (N,) at arc-length position t in [0, 1]."""
        index, fraction = self._locate(t)
        return torch.lerp(self.pivots[index], self.pivots[index + 1], fraction)

    def spaced(self, count: int) -> Tensor:
        """`count` points (count, N) at equal distances along the path, both ends included."""
        positions = torch.linspace(0, 1, count, dtype=torch.float64).tolist()
        inner = [self.point(t) for t in positions[1:-1]]
        return torch.stack([self.pivots[0], *inner, self.pivots[-1]])

    def splined(self, refine: int) -> "Path":
        """The polygon of `refine` points a segment on the cubic spline, in arc length, through the pivots.

        A chord of a curved valley floor runs up its wall; the error of a spline's is smaller by refine².
        """
        if refine == 1 or len(self.pivots) == 2:
            return self
        from scipy.interpolate import CubicSpline  # here, since loading it takes half as long as torch

        knots = self.pivot_positions.cpu().numpy()
        spline = CubicSpline(knots, self.pivots.double().cpu().numpy())
        fractions = np.arange(refine) / refine
        positions = (knots[:-1, None] + fractions * np.diff(knots)[:, None]).ravel()
        points = torch.from_numpy(spline(np.append(positions, 1.0))).to(self.pivots)
        points[::refine] = self.pivots
        return Path(points)

    def segment_middles(self, count: int) -> list[float]:
        """Positions of middles of segments, those nearest to the middles of `count` equal parts of the path.

        There the tangent is the chord's, and the loss that a chord's sag adds has no slope.
        """
        middles = (self.pivot_positions[1:] + self.pivot_positions[:-1]) / 2
        wanted = (torch.arange(count, dtype=torch.float64) + 0.5).to(middles) / count
        chosen = (middles[None] - wanted[:, None]).abs().argmin(1)
        if len(chosen.unique()) < count:
            raise InputError(f"a path of {len(middles)} segments has not {count} middles far enough apart")
        return middles[chosen].tolist()

    def tangent(self, t: float) -> Tensor:
        """Unit tangent (N,) at t, pointing to larger t; at a corner, that of the segment after it."""
        index, _ = self._locate(t)
        return (self._steps[index] / self._segment_lengths[index]).to(self.pivots.dtype)

    def project(self, w: Tensor) -> Projection:
        """The nearest point of the path to each w, (N,) or (R, N)."""
        queries = torch.atleast_2d(w).double()  # (R, N)
        # Relative to the first pivot, so that a path far from the origin loses no digits.
        offsets = queries - self.pivots[0].double()
        starts = self.pivots[:-1].double() - self.pivots[0].double()
        squares = self._segment_lengths.square()
        start_along = offsets @ self._steps.T - (starts * self._steps).sum(1)  # (R, P - 1)
        along = (start_along / squares).clamp(0, 1)
        to_start = offsets.square().sum(1, keepdim=True) - 2 * offsets @ starts.T + starts.square().sum(1)
        squared = to_start - 2 * along * start_along + along.square() * squares
        best = squared.argmin(dim=1)
        fraction = along.gather(1, best[:, None]).squeeze(1)
        point = self.pivots[best].double() + fraction[:, None] * self._steps[best]
        position = (self._arc[best] + fraction * self._segment_lengths[best]) / self._arc[-1]
        distance = (queries - point).norm(dim=1)
        point = point.to(w.dtype)
        if w.ndim == 1:
            return Projection(position[0], point[0], distance[0])
        return Projection(position, point, distance)


def straight_line(a: Tensor, b: Tensor) -> Path:
    """The segment from a to b, both (N,)."""
    if a.shape != b.shape:
        raise InputError(f"the ends have different shapes, {tuple(a.shape)} and {tuple(b.shape)}")
    return Path(torch.stack([a, b]))
