"""Brownian particles in a flat valley whose walls steepen: which effective potential do they feel?

The toy model of Paper B (Di Carlo, Goddard & Schwab), with y along the valley and x across it, in radians:

    V(x, y) = ½ g(y) x²,   g(y) = g₀ exp(contrast · cos y),   0 ≤ y < 2π

g₀ = `stiffness` is the geometric mean of g, contrast that of ln g. The convention for the temperature T
(an energy, with mobility 1) is dX = −∇V dt + √(2T) dW, component by component

    dx = −g x dt + √(2 T s) dW_x,   dy = −½ g′ x² dt + √(2 T_y) dW_y

with s = 1 (`isotropic`) or s = g/g₀ (`proportional`: the variance of the noise is proportional to the
curvature, as that of minibatches roughly is). If x is fast against y, T / g → 0, it averages out,
⟨x²⟩ = T s / g, and y feels the force −V_eff′ = −½ g′ T s / g:

    isotropic     V_eff = ½ T ln g       at T_y = T: P(y) ∝ g^(−1/2), exact at any T / g (detailed balance)
    proportional  V_eff = ½ T g / g₀     at T_y = T: P(y) ∝ exp(−½ g / g₀)

The paper writes T ln g. Measured is the coefficient c of V_eff = c T · shape(y), for both shapes (`LAWS`)
under both noises: from the stationary density of y at T_y = T, and from the drift of y at T_y = 0, where
there is no stationary density. At contrast 1 and T / g₀ = 1/10 the finite speed of x changes the density's
c by 1e-4 only (tests/oracle/test_valley.py), but that of the drift by up to 4 %: it is measured at
a lower temperature.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from valleyscope.errors import InputError

NOISES = {"isotropic": "log", "proportional": "linear"}  # and the law that theory gives each
LAWS = ("log", "linear")  # V_eff / T over its coefficient: ln(g / g₀), g / g₀
COEFFICIENT = 0.5  # of both, by theory
BINS = 16  # of the density
PERIOD = 2 * np.pi
WALKERS = (0.3, PERIOD - 0.3)  # starts of the single particles, on both sides of the steepest place
_GRID = 64  # points of the quadrature in a bin


@dataclass(frozen=True)
class ValleySettings:
    """The valley, the step, and how many particles run for how many steps."""

    stiffness: float  # g₀, energy
    contrast: float  # of ln g: g runs from g₀ exp(−contrast) to g₀ exp(contrast)
    temperature: float  # T, energy: of the density and of the single particles
    step_size: float  # h, 1 / energy (mobility 1); each run is repeated at h / 2
    particles: int  # of a density
    burn_in: int  # steps before the density is recorded, from y uniform over the period
    steps: int  # steps in which it is recorded; as many take the single particles
    every: int  # steps between two records
    drift_temperature: float  # T of the drift, lower so that x is fast enough
    drift_starts: int  # positions y from which the drift is measured
    drift_particles: int  # from each
    drift_steps: int  # steps over which a velocity is the mean

    def __post_init__(self):
        for name in ("stiffness", "temperature", "drift_temperature", "step_size"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}: {getattr(self, name)} is not above 0")
        steepest = self.stiffness * np.exp(abs(self.contrast))
        if self.step_size * steepest >= 1:
            raise InputError(
                f"step_size: {self.step_size} is too large for g up to {steepest:.3g}; "
                f"take less than {1 / steepest:.2g}"
            )
        if self.particles <= 2 * BINS:
            raise InputError(f"particles: {self.particles} are too few for a covariance of {BINS} bins")
        if self.drift_starts < 2 or self.drift_particles < 2:
            raise InputError("drift_starts, drift_particles: a standard error needs at least 2 of each")
        for name in ("burn_in", "steps"):
            if getattr(self, name) < self.every or getattr(self, name) % self.every:
                raise InputError(f"{name}: {getattr(self, name)} is not a multiple of every = {self.every}")
        if self.drift_steps < 1:
            raise InputError("drift_steps: a velocity needs at least 1")


# ---------------------------------------------------------------- the valley and its laws


def curvature(y: np.ndarray, stiffness: float, contrast: float) -> np.ndarray:
    """g(y), the curvature across the valley: V = ½ g x²."""
    return stiffness * np.exp(contrast * np.cos(y))


def shape(law: str, y: np.ndarray, contrast: float) -> np.ndarray:
    """ln(g / g₀) or g / g₀ at y: the law is V_eff = c T · shape."""
    exponent = contrast * np.cos(y)
    return exponent if law == "log" else np.exp(exponent)


def shape_slope(law: str, y: np.ndarray, contrast: float) -> np.ndarray:
    """Derivative of `shape` in y: the law's velocity at T_y = 0 is −c T · shape_slope."""
    slope = -contrast * np.sin(y)
    return slope if law == "log" else slope * np.exp(contrast * np.cos(y))


def density(law: str, coefficient: float, y: np.ndarray, contrast: float) -> np.ndarray:
    """P(y) ∝ exp(−c · shape), per radian, normalised by quadrature over the period."""
    mass = np.exp(-coefficient * shape(law, _grid(), contrast)).mean() * PERIOD
    return np.exp(-coefficient * shape(law, y, contrast)) / mass


def _grid() -> np.ndarray:
    """Midpoints over a period: for a periodic function their mean converges faster than any power."""
    return (np.arange(BINS * _GRID) + 0.5) * PERIOD / (BINS * _GRID)


# ---------------------------------------------------------------- simulation


@dataclass(frozen=True)
class Run:
    """Records of P particles: time (R,), x and y (R, P), the start first; y is not wrapped."""

    step_size: float
    time: np.ndarray
    x: np.ndarray
    y: np.ndarray


def simulate(
    settings: ValleySettings,
    noise: str,
    starts: np.ndarray,
    steps: int,
    every: int,
    *,
    along: float,
    rng: np.random.Generator,
    on_record: Callable[[], object] = lambda: None,
) -> tuple[Run, Run]:
    """Euler–Maruyama from y = `starts` (P,) at temperature `along` = T_y: at step h and again at h / 2.

    Both runs see the same Brownian path (a step's noise is the sum of its two half steps'), so that their
    difference is the error of the step and hardly that of the sample. x starts from its Gaussian at frozen y,
    of variance T s / g. A record every `every` steps of h. Raises FloatingPointError if a particle is lost.
    """
    if noise not in NOISES:
        raise InputError(f"noise: {noise!r} is none of {', '.join(NOISES)}")
    h, T = settings.step_size, settings.temperature

    def strength(g: np.ndarray) -> np.ndarray | float:  # s
        return 1.0 if noise == "isotropic" else g / settings.stiffness

    def advance(state: tuple, normals: np.ndarray, h: float) -> tuple:
        x, y = state
        g = curvature(y, settings.stiffness, settings.contrast)
        slope = -settings.contrast * np.sin(y) * g
        moved = y - (0.5 * h) * slope * x * x
        if along:
            moved += np.sqrt(2 * along * h) * normals[1]
        return x - h * g * x + np.sqrt(2 * T * h * strength(g)) * normals[0], moved

    y = np.array(starts, np.float64)
    g = curvature(y, settings.stiffness, settings.contrast)
    coarse = fine = (np.sqrt(T * strength(g) / g) * rng.standard_normal(len(y)), y)
    records = [(coarse, fine)]
    for step in range(1, steps + 1):
        first, second = rng.standard_normal((2, 2 if along else 1, len(y)))
        fine = advance(advance(fine, first, h / 2), second, h / 2)
        coarse = advance(coarse, (first + second) / np.sqrt(2), h)
        if step % every == 0:
            records.append((coarse, fine))
            on_record()
    everything = np.array(records)  # (R, 2 steps, 2 coordinates, P)
    if not np.isfinite(everything).all():
        raise FloatingPointError(f"particles left the valley at step_size = {h}; take a smaller one")
    time = np.arange(len(records)) * every * h
    return tuple(
        Run(size, time, everything[:, i, 0], everything[:, i, 1]) for i, size in enumerate((h, h / 2))
    )


# ---------------------------------------------------------------- coefficients


@dataclass(frozen=True)
class Fit:
    """c of V_eff = c T · shape, its standard error over particles, and χ² over degrees of freedom."""

    coefficient: float
    standard_error: float
    chi2_dof: float


def bin_shares(law: str, coefficient: float, contrast: float) -> np.ndarray:
    """Probability of each of the BINS bins of a period under the law's `density`."""
    inside = density(law, coefficient, _grid(), contrast).reshape(BINS, -1)
    return inside.mean(1) * PERIOD / BINS


def bin_particles(y: np.ndarray) -> np.ndarray:
    """Share of its records y (R, P) that each particle spends in each bin: (P, BINS)."""
    index = np.floor(y * (BINS / PERIOD)).astype(int) % BINS
    return np.stack([(index == b).mean(0) for b in range(BINS)], axis=1)


def fit_density(y: np.ndarray, law: str, contrast: float) -> Fit:
    """Maximum likelihood c of P(y) ∝ exp(−c · shape(y)), normalised by quadrature, from records y (R, P).

    c makes the law's mean of the shape equal to the sample's. Particles are independent, the records of one
    are not, so the standard error is that of the particles' means over the law's variance of the shape
    (right also where the law is wrong). χ² compares the shares of bins with the law's, by their covariance
    over particles; one bin is left out, as they sum to 1: BINS − 2 degrees of freedom.
    """
    values = shape(law, _grid(), contrast)
    means = shape(law, y, contrast).mean(0)
    coefficient = 0.0
    for _ in range(50):  # Newton; the mean falls monotonically in c
        weights = np.exp(-coefficient * (values - values.min()))
        weights /= weights.sum()
        mean = weights @ values
        variance = weights @ (values - mean) ** 2
        change = (mean - means.mean()) / variance
        coefficient += np.clip(change, -1, 1)
    if not abs(change) < 1e-9:
        raise FloatingPointError(f"the density fits no coefficient of the {law} law: too few records")
    shares = bin_particles(y)
    error = (shares.mean(0) - bin_shares(law, coefficient, contrast))[:-1]
    covariance = np.cov(shares[:, :-1].T) / len(shares)
    chi2 = error @ np.linalg.pinv(covariance) @ error
    standard_error = means.std(ddof=1) / np.sqrt(len(means)) / variance
    return Fit(float(coefficient), float(standard_error), float(chi2 / (BINS - 2)))


def fit_drift(velocity: np.ndarray, standard_error: np.ndarray, slope: np.ndarray) -> Fit:
    """c of velocity / T = −c · slope by least squares through the origin, over M starts.

    `velocity` / T, its standard error and the law's shape_slope at the starts are (M,). χ² has M − 1
    degrees of freedom.
    """
    power = slope @ slope
    coefficient = -slope @ velocity / power
    error = np.sqrt(slope**2 @ standard_error**2) / power
    chi2 = (((velocity + coefficient * slope) / standard_error) ** 2).sum()
    return Fit(float(coefficient), float(error), float(chi2 / (len(velocity) - 1)))


# ---------------------------------------------------------------- the measurement


def measure_density(
    settings: ValleySettings, noise: str, rng: np.random.Generator, on_record: Callable = lambda: None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fits and profile of the stationary density of y at T_y = T.

    Columns: results/README.md, valley_fits.csv and valley_profile.csv.
    """
    s = settings
    runs = simulate(
        s,
        noise,
        rng.uniform(0, PERIOD, s.particles),  # nothing of the theory; forgotten in the burn-in
        s.burn_in + s.steps,
        s.every,
        along=s.temperature,
        rng=rng,
        on_record=on_record,
    )
    centres = (np.arange(BINS) + 0.5) * PERIOD / BINS
    fits, profiles = [], []
    for run in runs:
        recorded = run.y[1 + s.burn_in // s.every :]
        found = {law: fit_density(recorded, law, s.contrast) for law in LAWS}
        shares = bin_particles(recorded) * BINS / PERIOD
        value, error = shares.mean(0), shares.std(0, ddof=1) / np.sqrt(s.particles)
        theory = bin_shares(NOISES[noise], COEFFICIENT, s.contrast) * BINS / PERIOD
        keys = {"noise": noise, "quantity": "density", "step_size": run.step_size}
        fits += [keys | {"law": law} | vars(fit) for law, fit in found.items()]
        profiles.append(_profile(keys, centres, value, error, theory))
    return pd.DataFrame(fits), pd.concat(profiles, ignore_index=True)


def measure_drift(
    settings: ValleySettings, noise: str, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same for the velocity of y over T, at T_y = 0, from starts all over the period.

    A velocity is a displacement over its time, mean over a start's particles; the law it is compared with is
    the mean over the positions in between, so that the length of the displacement does not matter.
    """
    s = replace(settings, temperature=settings.drift_temperature)
    starts = (np.arange(s.drift_starts) + 0.5) * PERIOD / s.drift_starts
    every = max(1, s.drift_steps // 32)
    steps = s.drift_steps - s.drift_steps % every
    runs = simulate(s, noise, np.repeat(starts, s.drift_particles), steps, every, along=0.0, rng=rng)
    fits, profiles = [], []
    for run in runs:
        speeds = (run.y[-1] - run.y[0]).reshape(s.drift_starts, -1) / (run.time[-1] * s.temperature)
        value, error = speeds.mean(1), speeds.std(1, ddof=1) / np.sqrt(s.drift_particles)
        slopes = {law: _path_mean(shape_slope(law, run.y, s.contrast), s.drift_starts) for law in LAWS}
        found = {law: fit_drift(value, error, slopes[law]) for law in LAWS}
        theory = -COEFFICIENT * slopes[NOISES[noise]]
        keys = {"noise": noise, "quantity": "drift", "step_size": run.step_size}
        fits += [keys | {"law": law} | vars(fit) for law, fit in found.items()]
        profiles.append(_profile(keys, _path_mean(run.y, s.drift_starts), value, error, theory))
    return pd.DataFrame(fits), pd.concat(profiles, ignore_index=True)


def walk(settings: ValleySettings, rng: np.random.Generator) -> pd.DataFrame:
    """Single particles at T_y = 0 under isotropic noise, from WALKERS.

    Columns: results/README.md, valley_trajectories.csv.
    """
    s = settings
    run = simulate(s, "isotropic", np.array(WALKERS), s.steps, s.every, along=0.0, rng=rng)[0]
    tables = [
        pd.DataFrame({"particle": i, "t": run.time, "x": run.x[:, i], "y": run.y[:, i]})
        for i in range(len(WALKERS))
    ]
    valley = {name: getattr(s, name) for name in ("stiffness", "contrast", "temperature")}
    return pd.concat(tables, ignore_index=True).assign(**valley)


def _path_mean(values: np.ndarray, starts: int) -> np.ndarray:
    """Mean over time (trapezoidal rule over records) and over each start's particles: (R, M · P) to (M,)."""
    over_time = (values[1:] + values[:-1]).mean(0) / 2
    return over_time.reshape(starts, -1).mean(1)


def _profile(keys: dict, y, value, error, theory) -> pd.DataFrame:
    columns = {"y": y, "value": value, "standard_error": error, "theory": theory}
    return pd.DataFrame(keys | columns)
