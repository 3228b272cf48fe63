"""Paper A's decay, ratio, anatomy and sequences from synthetic tables with a known finding."""

import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, grid, laid_out, modules

from valleyscope.figures import style
from valleyscope.figures.landscape import anatomy, decay, ratio, sequences
from valleyscope.figures.landscape import shared as landscape

N = 1000
SIGMAS = [1e-4, 1e-3, 1e-2]
GRID = {"trajectory": [8, 16, 32, 64], "minimisers": [8, 16]}
SLOPE = {"delta2": 10.0, 1: 0.1, 4: 0.4}  # ‖g_{k+1} − g^(k)‖², in full space and in the top D
TRACE = {"delta2": 300.0, 1: 5.0, 4: 20.0}
GAMMA = {"trajectory": 0.25, "minimisers": 0.0}  # of E(ℓ − L_k)² with k + 1


def cells(seeds=5, sigmas=SIGMAS, ks=GRID):
    """Every (regime, seed, k, next, probe, σ)."""
    rows = [
        grid(
            regime=[regime],
            seed=range(seeds),
            k=k,
            next=["single", "expected"],
            probe=["delta2", 1, 4],
            sigma=sigmas,
        )
        for regime, k in ks.items()
    ]
    table = pd.concat(rows, ignore_index=True)
    table["criterion"] = np.where(table["probe"] == "delta2", "delta2", "delta2_D")
    table["dim"] = table["probe"].replace("delta2", N).astype(int)
    return table


def terms_table(**options):
    table = cells(**options)
    n = table["k"] + 1.0
    # E(ℓ − L_k)²: a seed's level times a power of k + 1; the single sample scatters around it.
    level = 0.2 * (1 + 0.1 * table["seed"]) * n ** table["regime"].map(GAMMA)
    level *= np.where(table["next"] == "single", 0.5 + 0.3 * ((3 * table["seed"] + table["k"] // 8) % 4), 1.0)
    sigma, trace = table["sigma"], table["probe"].map(TRACE)
    table["value"] = level / n**2
    table["slope"] = sigma**2 * table["probe"].map(SLOPE) / n**2
    table["curvature"] = sigma**4 / 4 * (trace**2 + 2 * trace**2 / 10) / n**2
    table["cross"] = -np.sqrt(level) * sigma**2 * trace / n**2 * 0.1
    table["gradient_share"] = table["probe"].map(SLOPE) / SLOPE["delta2"]
    table["spread_ratio"] = table["gradient_share"] * (1 + 0.05 * table["seed"])
    return table


def criteria_table(terms):
    total = terms[["value", "slope", "curvature", "cross"]].sum(axis=1)
    closed = terms.assign(estimator="gaussian_moment", estimate=total)
    direct = closed.assign(estimator="direct", estimate=total * 1.01)
    first = terms.query("criterion == 'delta2' and sigma == sigma.min()")
    first = first.assign(
        criterion="delta1", dim=0, sigma=0.0, estimator="exact", estimate=np.sqrt(first["value"])
    )
    keys = ["regime", "seed", "k", "next", "criterion", "dim", "sigma", "estimator", "estimate"]
    return pd.concat([closed, direct, first])[keys].reset_index(drop=True)


def fixed_table(seeds=5):
    table = grid(
        regime=["random", "trained"],
        seed=range(seeds),
        k=[8, 16, 32, 64],
        next=["single", "expected"],
        criterion=["delta1", "delta2"],
        sigma=[1e-3],
    )
    table["estimate"] = (0.5 + 0.02 * table["seed"]) / (table["k"] + 1) ** 2
    return table.assign(standard_error=1e-6)


def slopes_table(seeds=5):
    probes = [("delta1", 0, 0.0, "exact")]
    probes += [
        ("delta2" if d == N else "delta2_D", d, s, e)
        for d in (1, 4, N)
        for s in SIGMAS
        for e in ("gaussian_moment", "direct")
    ]
    own = grid(regime=list(GRID), next=["single", "expected"], probe=probes, seed=range(seeds))
    fixed = grid(
        regime=["random", "trained"],
        next=["single", "expected"],
        probe=[("delta2", N, 1e-3, "direct")],
        seed=range(seeds),
    )
    table = pd.concat([own, fixed], ignore_index=True)
    table[["criterion", "dim", "sigma", "estimator"]] = table.pop("probe").tolist()
    noise = 0.01 * (table["seed"] - (seeds - 1) / 2)
    right = table["estimator"].isin(["gaussian_moment", "exact"])
    table["slope"] = table["regime"].map(GAMMA | {"random": 0.0, "trained": 0.0}) + noise
    table.loc[~right & table["regime"].isin(GRID), "slope"] += 5  # of another estimator: not to be read
    return table.assign(intercept=0.0, points=4)


def validity_table(seeds=5, full=2e-3):
    table = grid(
        regime=["trained", "minimisers"],
        seed=range(seeds),
        k=[64],
        quantity=["increment", "loss"],
        dim=[1, 4, N],
        precision=["float64", "float32"],
    )
    right = (table["quantity"] == "increment") & (table["precision"] == "float64")
    table["sigma_star"] = np.where(right, np.where(table["dim"] == N, full, 5e-2), 9.0)
    return table.assign(sigma_floor=np.nan, limit=0.1)


def sequences_table(seeds=5):
    table = grid(
        regime=list(GRID),
        next=["single", "expected"],
        probe=["delta2", 1, 4],
        sigma=SIGMAS,
        epsilon=[1e-4, 1e-3, 1e-2],
        seed=range(seeds),
    )
    table["criterion"] = np.where(table["probe"] == "delta2", "delta2", "delta2_D")
    table["dim"] = table["probe"].replace("delta2", N).astype(int)
    table["k"] = 0.5 / table["epsilon"] * 2.0 ** (table["seed"] - (seeds - 1) / 2)
    table["k"] *= np.where(table["next"] == "single", 0.8, 1.0) * np.where(table["probe"] == "delta2", 1.2, 1)
    return table.assign(extrapolated=table["k"] > 1000)


def tables_of(module, **options):
    seeds = options.get("seeds", 5)
    terms = terms_table(**options)
    return {
        decay: lambda: (
            criteria_table(terms),
            fixed_table(seeds),
            slopes_table(seeds),
            validity_table(seeds),
        ),
        ratio: lambda: (criteria_table(terms), terms, validity_table(seeds)),
        anatomy: lambda: (terms, validity_table(seeds)),
        sequences: lambda: (sequences_table(seeds),),
    }[module]()


FINDINGS = {
    decay: [
        "decays more slowly than k⁻²: γ = 0.25 [0.23, 0.27]",
        "minimisers, D = 4 (k = 8 to 16): 0.00 [-0.02, 0.02] and 0.00 [-0.02, 0.02]",
        "random: 0.00 [-0.02, 0.02]",
        "No line lies above its σ*",
    ],
    ratio: [
        "is, up to σ* = 0.002, ",
        "within 1 % at σ = 0.0001",
        "The spread ratio of D = 4 at σ = 0.001 is 0.044 [",
    ],
    anatomy: ["On the trajectory, full space, k = 64: value holds all but", "slope exceeds value at no σ"],
    sequences: ["ε = 0.001 nats", "from k = 600 [154, 2,340] (extrapolated in 2 of 5 seeds) on"],
}


@modules(FINDINGS)
def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(module, tmp_path):
    check(module, tables_of(module), [*FINDINGS[module], "5 seeds"], tmp_path)


@modules(FINDINGS)
@pytest.mark.parametrize("holes", [False, True])
def test_two_seeds_two_k_and_missing_cells_do_not_break_it(module, holes):
    smoke = {"seeds": 2, "sigmas": [1e-3, 1e-2], "ks": {"trajectory": [4, 8], "minimisers": [4, 8]}}
    tables = tables_of(module, **smoke)
    if holes:  # a seed is missing in one cell of each table, a number in another; no σ* was found
        tables = [table.drop(index=table.index[1]).reset_index(drop=True) for table in tables]
        for table in tables:
            for column in {"estimate", "slope", "sigma_star", "spread_ratio", "k"} & set(table):
                if column != "k" or "epsilon" in table:
                    table[column] = table[column].astype(float)
                    table.loc[table.index[:: 1 if column == "sigma_star" else 5], column] = np.nan
    _, caption = laid_out(module, tables)
    assert "2 seeds" in caption


def test_the_verdict_on_the_rate_follows_the_interval():
    criteria, fixed, slopes, validity = tables_of(decay)
    for shift, words in [(-0.5, "faster than k⁻²: γ = -0.25"), (-0.25, "at a rate not told apart from k⁻²")]:
        shifted = slopes.assign(slope=slopes["slope"] + shift)
        _, caption = drawn(decay, [criteria, fixed, shifted, validity])
        assert words in caption


def test_lines_above_sigma_star_are_named_and_dotted():
    criteria, fixed, slopes, _ = tables_of(decay)
    figure, caption = drawn(decay, [criteria, fixed, slopes, validity_table(full=5e-4)])
    assert "full space (trajectory), full space (minimisers). " in caption
    for panel in figure.axes[1:3]:
        assert [line.get_color() for line in panel.lines if line.get_linestyle() == ":"] == ["k"]


def test_sigma_star_is_that_of_the_increment_in_float64():
    validity = validity_table()
    validity["sigma_star"] *= 2.0 ** (validity["seed"] - 2)
    star = landscape.sigma_star(validity, "trained", N)
    assert star.to_numpy() == pytest.approx(2e-3 * 2.0 ** np.arange(-2, 3))
    assert landscape.holds_up_to(star) == pytest.approx(2e-3)
    assert landscape.holds_up_to(landscape.sigma_star(validity, "minimisers", 4)) == pytest.approx(5e-2)
    # D = 3 was not measured: the next larger one promises less.
    assert landscape.holds_up_to(landscape.sigma_star(validity, "minimisers", 3)) == pytest.approx(5e-2)
    assert np.isnan(landscape.holds_up_to(landscape.sigma_star(validity, "minimisers", N + 1)))


@modules([decay, ratio, anatomy])
def test_a_seed_without_sigma_star_is_not_averaged_away(module):
    """The others have a σ* far above the grid; their mean alone would call every σ valid."""
    *tables, validity = tables_of(module)
    validity = validity.assign(sigma_star=1.0)
    assert "Seeds without σ*" not in drawn(module, [*tables, validity])[1]
    full = (validity["regime"] == "trained") & (validity["dim"] == N) & (validity["seed"] == 3)
    validity.loc[full, "sigma_star"] = np.nan
    figure, caption = drawn(module, [*tables, validity])
    name = "trajectory" if module is ratio else "full space (trajectory)"
    assert f"every σ exceeds the limit: {name} 1 of 5; there" in caption
    if module is decay:
        assert "not known in every seed: full space (trajectory). " in caption
    else:
        assert figure.axes[0].get_title(loc="left").endswith(r"$>\ \sigma^*$")
    if module is ratio:
        assert "no σ of the grid is up to σ*" in caption


def test_bands_are_cut_far_from_the_lines_and_the_caption_says_so():
    tables = tables_of(decay)
    assert "Bands are cut" not in drawn(decay, tables)[1]
    # One cell scatters over ten decades: its interval reaches further than the factor of 30.
    cell = tables[0].eval("regime == 'trajectory' and k == 16 and next == 'single' and criterion == 'delta1'")
    tables[0].loc[cell, "estimate"] *= 10.0 ** (2.5 * (tables[0]["seed"] - 2))
    figure, caption = drawn(decay, tables)
    assert "Bands are cut a factor of 30 beyond the lines. " in caption
    low, high = figure.axes[0].get_ylim()
    lines = np.concatenate([line.get_ydata() for line in figure.axes[0].lines])
    assert low == pytest.approx(lines.min() / 30)
    assert high == pytest.approx(lines.max() * 30)


def test_numbers_of_captions_count_the_seeds_that_have_one():
    values = pd.Series([1.0, 100.0, np.nan, 0.0])
    assert landscape.quoted(values[:2], style.spread) == style.spread(values[:2])
    assert landscape.quoted(values, digits=2) == f"{style.log_spread(values[:2], 2)} (2 of 4 seeds)"
    assert landscape.quoted(values[1:], style.spread) == f"{style.spread([100, 0])} (2 of 3 seeds)"
    assert landscape.quoted(values[1:3]) == "100 (1 of 2 seeds)"
    assert landscape.quoted(values[2:]) == "not measured"


def test_scaled_controls_are_flat():
    figure, _ = drawn(decay, tables_of(decay))
    squares = [line for line in figure.axes[2].lines if line.get_marker() == "s"]
    assert len(squares) == 2
    for line in squares:
        assert line.get_ydata() == pytest.approx(line.get_ydata()[0])


def ratio_tables(full_scale=1.0, **changes):
    """Δ₂ of very different size in each seed."""
    terms = terms_table().assign(**changes)
    size = 10.0 ** (2 * terms["seed"])
    columns = ["value", "slope", "curvature", "cross"]
    terms[columns] = terms[columns].mul(size, axis=0)
    criteria = criteria_table(terms)
    full = criteria["criterion"] == "delta2"
    criteria.loc[full, "estimate"] *= full_scale
    return criteria, terms, validity_table()


def test_the_ratio_is_taken_within_a_seed():
    """With ratios of 1/2 in each seed every mean is 1/2; a ratio of means over seeds would mix sizes."""
    zero = dict.fromkeys(["slope", "curvature", "cross"], 0.0)
    tables = ratio_tables(full_scale=2.0, **zero)
    table, lost = ratio.ratios(tables[0].sample(frac=1, random_state=0))
    assert lost == 0
    assert table["ratio"].to_numpy() == pytest.approx(0.5)
    assert set(table["seed"]) == set(range(5))
    _, caption = drawn(ratio, tables)
    assert "0.5 [0.5, 0.5] at σ = 0.0001" in caption
    assert "at no σ" in caption


def test_the_largest_deviation_is_averaged_over_seeds_only():
    table = grid(regime=["trajectory"], seed=[0, 1], k=[8, 16], dim=[1, 4], sigma=[1e-3])
    table["ratio"] = 1.0
    table.loc[[1, 6], "ratio"] = 0.9, 1.3
    largest = ratio.largest_by_seed(table, "ratio", "trajectory", 1e-3)
    assert largest.to_dict() == pytest.approx({0: 0.1, 1: 0.3})


def test_why_the_ratio_is_near_one():
    small = {"slope": 1e-12, "curvature": 0.0, "cross": 0.0}
    _, caption = drawn(ratio, ratio_tables(**small))
    assert "because both hold the same a²: a²/Δ₂ alone is within" in caption
    # a² is a quarter of Δ₂ and the subspace holds all the rest.
    value = terms_table()["value"]
    _, caption = drawn(ratio, ratio_tables(**small | {"slope": 3 * value, "spread_ratio": 1.0}))
    assert "because D = 4 holds most of the spread: a²/Δ₂ alone is" in caption


def test_cells_whose_estimate_is_not_positive_are_counted():
    criteria, terms, validity = ratio_tables()
    chosen = (criteria["criterion"] == "delta2") & (criteria["estimator"] == "gaussian_moment")
    chosen &= (criteria["next"] == "single") & (criteria["k"] == 8) & (criteria["seed"] == 0)
    criteria.loc[chosen, "estimate"] = -1e-9
    _, lost = ratio.ratios(criteria)
    assert lost == len(SIGMAS) * len(GRID)
    assert f"{lost} cells with an estimate" in drawn(ratio, [criteria, terms, validity])[1]


def test_a_takeover_is_where_the_power_laws_cross():
    rows = pd.DataFrame({"sigma": SIGMAS, "value": 1.0})
    for at, expected in [(3e-3, 3e-3), (1.0, np.inf), (1e-6, 0.0)]:
        rows["slope"] = (rows["sigma"] / at) ** 2
        assert anatomy.takeover(rows, "slope", "value") == pytest.approx(expected)
    assert np.isnan(anatomy.takeover(rows.assign(slope=np.nan), "slope", "value"))


def test_the_anatomy_says_where_the_slope_takes_over():
    terms, validity = tables_of(anatomy)
    scatter = 1.2 ** (terms["seed"] - 2)
    terms["slope"] = terms["value"] * (terms["sigma"] / 3e-4 / scatter) ** 2
    _, caption = drawn(anatomy, [terms, validity])
    expected = style.log_spread(3e-4 * 1.2 ** np.arange(-2, 3), 2)
    assert f"slope exceeds value above σ = {expected}" in caption
    assert "full space, k = 64: slope holds all but" in caption
    terms.loc[terms["seed"] == 0, "slope"] = 0.0  # has no crossing to speak of
    drawn(anatomy, [terms, validity])


def test_hollow_where_extrapolated():
    table = sequences_table()
    figure, caption = drawn(sequences, [table.assign(extrapolated=table["epsilon"] == 1e-4)])
    assert "(inside the measured grid) on" in caption
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert {line.get_xdata()[0] for line in points if line.get_mfc() == "w"} == {1e-4}


@pytest.mark.parametrize("missing", [-1.0, np.nan])
def test_a_regime_without_a_fitted_decay_is_drawn_empty(missing):
    table = sequences_table()
    table.loc[table["regime"] == "trajectory", "k"] = missing
    figure, caption = laid_out(sequences, [table])
    empty, full = figure.axes
    assert [text.get_text() for text in empty.texts] == ["no decay fitted"]
    assert not empty.lines
    assert full.lines
    assert not full.texts
    assert "from an unknown k on" in caption
    laid_out(sequences, [table.query("regime == 'trajectory'")])


def test_the_middle_sigma_of_sequences_is_one_of_the_probe():
    table = sequences_table(seeds=2).query("sigma > 1e-4")
    first = table.query("sigma == 1e-3").assign(criterion="delta1", sigma=0.0)
    assert "σ = 0.01, from" in drawn(sequences, [pd.concat([table, first])])[1]
