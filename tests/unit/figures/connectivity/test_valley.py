"""The toy valley from synthetic tables with a known coefficient."""

import numpy as np
from figure_check import check, drawn, grid, laid_out, told

from valleyscope.connectivity.valley import BINS, NOISES, PERIOD, density, shape_slope
from valleyscope.figures.connectivity import valley

STEPS = [2e-3, 1e-3]
SEEDS = [0, 1, 2]


def tables(log=0.5, change=0.001, seeds=SEEDS, scatter=0.01):
    """Coefficients `log` of T ln g and 0.75 of T g/g₀; χ²/dof 1 of a noise's own law and 40 of the other."""
    fits = grid(
        seed=seeds, noise=list(NOISES), quantity=["density", "drift"], step_size=STEPS, law=["log", "linear"]
    )
    own = fits["noise"].map(NOISES) == fits["law"]
    fits["coefficient"] = np.where(fits["law"] == "log", log, 0.75) + scatter * (fits["seed"] - 1)
    fits["coefficient"] += change * (fits["step_size"] == STEPS[0])
    fits["chi2_dof"] = np.where(own, 1.0, 40.0)
    profile = grid(
        seed=seeds, noise=list(NOISES), quantity=["density", "drift"], step_size=STEPS, place=range(BINS)
    )
    profile["y"] = (profile["place"] + 0.5) * PERIOD / BINS
    profile["value"] = 1 + 0.01 * profile["seed"] + (profile["step_size"] == STEPS[0])
    for noise, law in NOISES.items():
        rows = profile["noise"] == noise
        values = {
            "density": density(law, 0.5, profile["y"], 1.0),
            "drift": -0.5 * shape_slope(law, profile["y"], 1.0),
        }
        for quantity, value in values.items():
            profile.loc[rows & (profile["quantity"] == quantity), "value"] *= value
    walks = grid(seed=seeds, particle=[0, 1], t=np.linspace(0, 5, 20))
    walks["x"] = np.sin(9 * walks["t"])
    walks["y"] = np.pi + (2 * walks["particle"] - 1) * 2.5 * np.exp(-walks["t"])
    return fits, profile.drop(columns="place"), walks.assign(stiffness=10.0, contrast=1.0, temperature=1.0)


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "acts as a potential: c T ln g if isotropic, c = 0.5 [0.475, 0.525] (density) and 0.5 [0.475, 0.525] "
        "(drift)",
        "c T g/g₀ if its variance goes as g, c = 0.75 [0.725, 0.775] (density)",
        "1/2 lies in 2 of 4 intervals, the paper's 1 before T ln g in 0 of 2",
        "over 3 seeds",
    ]
    numbers = [
        "intervals that do not hold theory's 1/2: proportional density, proportional drift",
        "intervals that do not hold the paper's 1: isotropic density, isotropic drift",
        "c of T g/g₀, drift: 0.75 [0.725, 0.775]",
        *(
            f"{noise} noise, {quantity}, the {law}: {chi}"
            for noise in NOISES
            for quantity in ("density", "drift")
            for law, chi in (("noise's own law", "1\n"), ("other noise's law", "40\n"))
        ),
        "change of c when the step is halved under the same noise: 0.001\n",
        "change of c over half the width of its interval: 0.04\n",
        "dX = -∇V dt + √(2T) dW",
    ]
    check(valley, tables(), findings, tmp_path, numbers)


def test_the_papers_coefficient_would_be_seen():
    picture = laid_out(valley, tables(log=1.0))
    assert "1/2 lies in 0 of 4 intervals, the paper's 1 before T ln g in 2 of 2" in picture.caption
    assert picture.numbers["intervals that do not hold the paper's 1"] == "none"


def test_coefficients_that_scatter_around_0_are_no_potential():
    assert "is not shown to act as a potential" in drawn(valley, tables(log=0.0)).caption
    assert "is not shown to act as a potential" in drawn(valley, tables(scatter=1.0)).caption


def test_an_effect_of_the_step_is_seen_in_any_quantity():
    fits, *others = tables(change=0.0)
    coarse = (
        (fits["step_size"] == STEPS[0]) & (fits["quantity"] == "drift") & (fits["noise"] == "proportional")
    )
    fits.loc[coarse, "coefficient"] -= 0.1
    words = told(drawn(valley, [fits, *others]))
    assert "the step is halved under the same noise: 0.1\n" in words
    assert "over half the width of its interval: 4\n" in words


def test_every_panel_has_its_data():
    fits, profile, walks = tables()
    figure = drawn(valley, [fits, profile, walks]).figure
    landscape, potential, coefficients, drift = figure.axes
    for axes, quantity in ((potential, "density"), (drift, "drift")):
        for noise in NOISES:
            wanted = profile.query(f"noise == '{noise}' and quantity == '{quantity}' and step_size == 0.001")
            mean = wanted.groupby("y")["value"].mean()
            lines = [line for line in axes.lines if line.get_color() == valley.COLOUR[noise]]
            points = [line.get_ydata() for line in lines if line.get_marker() == "o"]
            assert any(np.allclose(values, mean) for values in points)
            # The values were made from the own law at c = 1/2, times 1 to 1.02.
            (own,) = [
                line.get_data()
                for line in lines
                if line.get_linestyle() == "-" and len(line.get_xdata()) > BINS
            ]
            (other,) = [line.get_data() for line in lines if line.get_linestyle() == ":"]
            near = [np.abs(np.interp(mean.index, *curve) * 1.01 / mean - 1).max() for curve in (own, other)]
            assert near[0] < 0.01 < near[1]
    legends = [axes.get_legend() is not None for axes in figure.axes]
    assert legends == [False, True, False, False]
    marked = {line.get_xdata()[0] for line in coefficients.lines if len(line.get_xdata()) == 2}
    assert {0.5, 1.0} <= marked
    # The particles of the first seed only: each a path and its two ends.
    assert [len(line.get_xdata()) for line in landscape.lines] == 2 * [20, 1, 1]


def test_two_seeds_of_any_number_are_enough():
    assert "over 2 seeds of the simulation" in drawn(valley, tables(seeds=[3, 8])).caption
