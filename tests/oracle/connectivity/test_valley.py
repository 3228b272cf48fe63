"""The toy valley against its theory, and against the Fokker-Planck equation where theory is only a limit."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from valleyscope.connectivity.valley import (
    BINS,
    COEFFICIENT,
    NOISES,
    PERIOD,
    ValleySettings,
    bin_shares,
    curvature,
    density,
    fit_density,
    fit_drift,
    measure_density,
    measure_drift,
    shape,
    shape_slope,
    simulate,
    walk,
)

SMALL = ValleySettings(
    stiffness=10.0,
    contrast=1.0,
    temperature=1.0,
    step_size=4e-3,
    particles=300,
    burn_in=1000,
    steps=3000,
    every=50,
    drift_temperature=0.01,
    drift_starts=8,
    drift_particles=250,
    drift_steps=200,
)
both_noises = pytest.mark.parametrize("noise", NOISES)


@pytest.fixture
def numbers(rng):
    """NumPy's random numbers, fresh in each session."""
    return np.random.default_rng(torch.randint(2**31, (), generator=rng).item())


@pytest.fixture
def settings(numbers):
    """SMALL at another temperature, T / g₀ and contrast, with h g₀ as it is."""
    temperature, ratio, contrast = numbers.uniform([0.3, 10, 0.9], [3, 15, 1.2])
    return replace(
        SMALL,
        contrast=contrast,
        temperature=temperature,
        stiffness=ratio * temperature,
        step_size=0.04 / (ratio * temperature),
        drift_temperature=ratio * temperature / 1000,
    )


# ---------------------------------------------------------------- simulation


@both_noises
def test_x_has_its_stationary_variance_where_y_stands_still(settings, numbers, noise):
    """At y = 0 and π g′ = 0. Euler–Maruyama is an AR(1) there: Var x = (T s / g) / (1 − h g / 2)."""
    particles = 4000
    ends = np.array([0.0, np.pi])
    starts = np.repeat(ends, particles)
    runs = simulate(settings, noise, starts, 600, 600, along=0.0, rng=numbers)
    g = curvature(ends, settings.stiffness, settings.contrast)
    strength = np.ones(2) if noise == "isotropic" else g / settings.stiffness
    for run in runs:
        np.testing.assert_allclose(run.y, np.tile(starts, (2, 1)), atol=1e-9)
        for x, factor in zip(run.x, (1, 1 / (1 - run.step_size * g / 2)), strict=True):
            variance = (x.reshape(2, -1) ** 2).mean(1)
            truth = settings.temperature * strength / g * factor
            np.testing.assert_allclose(variance, truth, rtol=4 * (2 / particles) ** 0.5)


def test_without_walls_that_steepen_y_diffuses_freely(settings, numbers):
    """⟨(y − y₀)²⟩ = 2 T_y t at both steps."""
    flat = replace(settings, contrast=0.0)
    for run in simulate(flat, "isotropic", np.zeros(4000), 100, 50, along=0.7, rng=numbers):
        np.testing.assert_allclose((run.y[1:] ** 2).mean(1), 1.4 * run.time[1:], rtol=4 * (2 / 4000) ** 0.5)


def test_both_steps_see_the_same_brownian_path(settings, numbers):
    coarse, fine = simulate(settings, "isotropic", np.zeros(500), 200, 200, along=1.0, rng=numbers)
    assert np.corrcoef(coarse.y[-1], fine.y[-1])[0, 1] > 0.99
    assert not np.array_equal(coarse.y[-1], fine.y[-1])
    assert fine.step_size == coarse.step_size / 2
    assert fine.time[-1] == coarse.time[-1] == pytest.approx(200 * settings.step_size)


def test_same_seed_same_particles():
    runs = [walk(SMALL, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert runs[0].equals(runs[1])
    assert not runs[0].equals(runs[2])
    start, end = (runs[0][runs[0]["t"] == t]["y"] for t in (0, runs[0]["t"].max()))
    assert (np.abs(end - np.pi).to_numpy() < np.abs(start - np.pi).to_numpy()).all()  # to the flat part


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step_size": 0.04}, "step_size: 0.04 is too large for g up to 27.2; take less than 0.037"),
        ({"temperature": 0.0}, "temperature: 0.0 is not above 0"),
        ({"particles": 32}, "particles: 32 are too few for a covariance of 16 bins"),
        ({"steps": 3010}, "steps: 3010 is not a multiple of every = 50"),
        ({"burn_in": 0}, "burn_in: 0 is not a multiple of every = 50"),
        ({"drift_particles": 1}, "a standard error needs at least 2"),
        ({"drift_steps": 0}, "drift_steps: a velocity needs at least 1"),
    ],
)
def test_bad_settings_are_refused_in_one_line(change, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        replace(SMALL, **change)
    assert "\n" not in str(error.value)


def test_unknown_noise_and_lost_particles_are_named(numbers):
    with pytest.raises(ValueError, match="noise: 'white' is none of isotropic, proportional"):
        simulate(SMALL, "white", np.zeros(2), 1, 1, along=0.0, rng=numbers)
    with pytest.raises(FloatingPointError, match="left the valley"):
        simulate(SMALL, "isotropic", np.array([np.nan]), 1, 1, along=0.0, rng=numbers)


# ---------------------------------------------------------------- fits


@pytest.mark.parametrize("law", ["log", "linear"])
def test_the_coefficient_of_a_known_density_is_found(numbers, law):
    """y drawn from the law itself, through its inverse distribution function."""
    contrast, true = numbers.uniform(0.5, 1.5, 2)
    grid = np.linspace(0, PERIOD, 20_001)
    cdf = np.concatenate([[0], np.cumsum(density(law, true, (grid[1:] + grid[:-1]) / 2, contrast))])
    assert cdf[-1] * PERIOD / 20_000 == pytest.approx(1, abs=1e-7)
    y = np.interp(numbers.uniform(0, cdf[-1], (20, 1000)), cdf, grid)
    fit = fit_density(y + PERIOD * numbers.integers(-3, 4, y.shape), law, contrast)
    assert abs(fit.coefficient - true) < 4 * fit.standard_error
    variance = np.var(shape(law, y, contrast))  # of a sample of independent draws: 1 / (n Var shape)
    assert fit.standard_error == pytest.approx((y.size * variance) ** -0.5, rel=0.1)
    assert 0.1 < fit.chi2_dof < 1 + 5 * (2 / (BINS - 2)) ** 0.5


def test_the_coefficient_of_a_known_drift_is_found(numbers):
    slope = shape_slope("linear", numbers.uniform(0, PERIOD, 12), 1.3)
    error = numbers.uniform(0.1, 0.2, 12)
    exact = fit_drift(-0.8 * slope, error, slope)
    assert (exact.coefficient, exact.chi2_dof) == pytest.approx((0.8, 0))
    noisy = [fit_drift(-0.8 * slope + error * numbers.normal(size=12), error, slope) for _ in range(2000)]
    found = np.array([fit.coefficient for fit in noisy])
    assert found.std() == pytest.approx(exact.standard_error, rel=0.1)
    assert np.mean([fit.chi2_dof for fit in noisy]) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("law", ["log", "linear"])
def test_slopes_and_shares_belong_to_their_shape(numbers, law):
    y, e = numbers.uniform(0, PERIOD, 9), 1e-5
    difference = (shape(law, y + e, 1.1) - shape(law, y - e, 1.1)) / (2 * e)
    np.testing.assert_allclose(shape_slope(law, y, 1.1), difference, atol=1e-8)
    shares = bin_shares(law, 0.7, 1.1)
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(shares, shares[::-1])
    assert shares.argmax() in (BINS // 2 - 1, BINS // 2)  # the flat part


# ---------------------------------------------------------------- the law of each noise


@both_noises
def test_the_density_has_the_coefficient_one_half(settings, numbers, noise):
    fits, profile = measure_density(settings, noise, numbers)
    own = fits[fits["law"] == NOISES[noise]]
    error = np.abs(own["coefficient"] - COEFFICIENT) / own["standard_error"]
    assert len(own) == 2
    assert (error < 4).all()
    assert (own["standard_error"] < 0.06).all()  # far from 1
    off = (profile["value"] - profile["theory"]) / profile["standard_error"]
    assert off.abs().max() < 5
    assert profile.groupby("step_size")["value"].sum().to_numpy() * PERIOD / BINS == pytest.approx(1)


@both_noises
def test_the_drift_has_the_coefficient_one_half_and_the_other_law_fits_worse(settings, numbers, noise):
    fits, profile = measure_drift(settings, noise, numbers)
    chi2 = fits.pivot(index="step_size", columns="law", values="chi2_dof")
    own = fits[fits["law"] == NOISES[noise]]
    finest = own.loc[own["step_size"].idxmin()]
    # Beside the error of the sample, h g / 4 of the step and T / g₀ of the limit.
    assert abs(finest["coefficient"] - COEFFICIENT) < 4 * finest["standard_error"] + 0.01
    assert finest["standard_error"] < 0.03
    (other,) = set(NOISES.values()) - {NOISES[noise]}
    assert (chi2[other] > 5 * chi2[NOISES[noise]]).all()
    assert np.corrcoef(profile["value"], profile["theory"])[0, 1] > 0.99


def test_the_drift_has_a_temperature_of_its_own():
    hot = replace(SMALL, temperature=100.0)
    tables = [measure_drift(s, "isotropic", np.random.default_rng(0))[1] for s in (SMALL, hot)]
    assert tables[0].equals(tables[1])


def exact_density(stiffness, contrast, points=96, modes=8):
    """Stationary density of y under proportional noise at T = T_y = 1 and any stiffness, on a grid of y.

    With u = x / √(T / g₀) and P(u, y) = Σ_n p_n(y) ψ_n(u), ψ_n the normalised even Hermite functions, the
    Fokker-Planck equation is 0 = −n g p_n + ½ ∂_y (g′/g₀ Σ_m ⟨n|u²|m⟩ p_m) + ∂_y² p_n: Fourier collocation.
    """
    y = PERIOD * np.arange(points) / points
    waves = np.fft.fftfreq(points, 1 / points)
    waves[points // 2] = 0
    D = np.fft.ifft(1j * waves[:, None] * np.fft.fft(np.eye(points), axis=0), axis=0).real
    g = curvature(y, stiffness, contrast)
    force = 0.5 * shape_slope("linear", y, contrast)  # ½ g′ / g₀
    n = 2 * np.arange(modes)
    side = np.sqrt((n[:-1] + 1) * (n[:-1] + 2))
    square = np.diag(2.0 * n + 1) + np.diag(side, 1) + np.diag(side, -1)
    system = (
        np.kron(square, D @ np.diag(force)) + np.kron(np.eye(modes), D @ D) - np.kron(np.diag(n), np.diag(g))
    )
    system[0] = 0
    system[0, :points] = PERIOD / points
    return y, np.linalg.solve(system, np.eye(len(system))[0])[:points]


def best_coefficient(y, p, contrast):
    """c for which the linear law has the mean of its shape under p, by bisection."""
    values = shape("linear", y, contrast)
    low, high = 0.0, 2.0
    for _ in range(50):
        middle = (low + high) / 2
        weights = np.exp(-middle * values)
        too_steep = weights @ values / weights.sum() < p @ values / p.sum()
        low, high = (low, middle) if too_steep else (middle, high)
    return middle


def test_the_finite_speed_of_x_hardly_changes_the_density():
    y, p = exact_density(10.0, 1.0)
    assert best_coefficient(y, p, 1.0) == pytest.approx(COEFFICIENT, abs=2e-4)


def test_the_density_is_that_of_the_fokker_planck_equation_also_where_x_is_slow(numbers):
    contrast = 1.5
    s = replace(SMALL, stiffness=0.5, contrast=contrast, step_size=1e-2, particles=2000, burn_in=500)
    y, p = exact_density(s.stiffness, contrast, modes=16)
    truth = best_coefficient(y, p, contrast)
    fits, _ = measure_density(s, "proportional", numbers)
    fit = fits.query("law == 'linear' and step_size < 0.01").iloc[0]
    assert abs(fit["coefficient"] - truth) < 4 * fit["standard_error"]
    assert COEFFICIENT - truth > 4 * fit["standard_error"]  # the test can tell them apart
