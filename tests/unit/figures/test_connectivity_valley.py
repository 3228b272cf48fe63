"""The toy valley from synthetic tables with a known coefficient."""

import numpy as np
from figure_check import check, drawn, grid, laid_out

from valleyscope.connectivity.valley import BINS, NOISES, PERIOD, density, shape_slope
from valleyscope.figures.connectivity import valley

STEPS = [2e-3, 1e-3]
SEEDS = [0, 1, 2]


def tables(log=0.5, change=0.001, seeds=SEEDS):
    """Coefficients `log` of T ln g and 0.75 of T g/g₀; χ²/dof 1 of a noise's own law and 40 of the other."""
    fits = grid(
        seed=seeds, noise=list(NOISES), quantity=["density", "drift"], step_size=STEPS, law=["log", "linear"]
    )
    own = fits["noise"].map(NOISES) == fits["law"]
    fits["coefficient"] = np.where(fits["law"] == "log", log, 0.75) + 0.01 * (fits["seed"] - 1)
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
        "V_eff = c T ln g with c = 0.5 [0.475, 0.525] (density) and 0.5 [0.475, 0.525] (drift)",
        "V_eff = c T g/g₀ with c = 0.75 [0.725, 0.775] (density)",
        "1/2 lies in 2 of the 4 intervals (not proportional density, proportional drift)",
        "1, which the paper writes before T ln g, lies in none of the 2 intervals",
        "isotropic, density, 1 and 40; isotropic, drift, 1 and 40; proportional, density, 1 and 40",
        "changes c by at most 0.001, and by at most 0.04 of its",
        "dX = -∇V dt + √(2T) dW",
        "over 3 seeds",
    ]
    check(valley, tables(), findings, tmp_path)


def test_the_papers_coefficient_would_be_seen():
    _, caption = laid_out(valley, tables(log=1.0))
    assert "ln g, lies in all 2 intervals" in caption
    assert "Theory's 1/2 lies in none of the 4 intervals" in caption


def test_an_effect_of_the_step_is_seen_in_any_quantity():
    fits, *others = tables(change=0.0)
    coarse = (
        (fits["step_size"] == STEPS[0]) & (fits["quantity"] == "drift") & (fits["noise"] == "proportional")
    )
    fits.loc[coarse, "coefficient"] -= 0.1
    _, caption = drawn(valley, [fits, *others])
    assert "changes c by at most 0.1, and by at most 4" in caption


def test_every_panel_has_its_data():
    fits, profile, walks = tables()
    figure, _ = drawn(valley, [fits, profile, walks])
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
    _, caption = drawn(valley, tables(seeds=[3, 8]))
    assert "over 2 seeds. Circle" in caption
