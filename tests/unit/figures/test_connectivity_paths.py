"""The figures of Paper B's paths from synthetic tables: what they say must be what the tables hold."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, grid, laid_out, modules

from valleyscope.figures import style
from valleyscope.figures.connectivity import path_criteria, path_groups, path_profile, path_spectrum
from valleyscope.figures.connectivity import shared as paths
from valleyscope.readings.paths import barrier, dip_over_ends, middle_over_ends, over_ends

PAIRS = ["0-1", "2-3", "4-5"]
POSITIONS = np.linspace(0, 1, 15)
KINDS = {"adamw": ["straight", "bezier", "polygon", "autoneb"], "sgd": ["straight", "autoneb"]}
GROUPS = ["embedding", "query", "key", "value", "output", "up", "down", "head"]
SIGMAS = [1e-4, 1e-3, 1e-2]
EVEN = (1.0, 1.0, 1.0)  # factors of the pairs
SCATTER = (4.0, 0.25, 1.0)  # of geometric mean 1


def hill(position, middle, dip=1.0):
    """1 at the ends, `middle` from 0.4 to 0.6, `dip` at the second of 15 positions from either end."""
    depth = np.minimum(position, 1 - position)
    rise = np.interp(depth, [1 / 14, 0.4], [0, 1])  # in logarithms, from the dip
    down = np.interp(depth, [0, 1 / 14], [0, np.log(dip)])
    return np.exp(down * (1 - rise) + np.log(middle) * rise)


def by_pair(table, factors):
    """The pairs' own factors, inside the path only."""
    inner = table["position"].between(0.001, 0.999)
    return np.where(inner, table["pair"].map(dict(zip(PAIRS, factors, strict=True))), 1.0)


def cells(positions, **axes):
    tables = [
        grid(variant=[variant], kind=kinds, pair=PAIRS, position=positions, **axes)
        for variant, kinds in KINDS.items()
    ]
    return pd.concat(tables, ignore_index=True)


def main_path(positions, **axes):
    return grid(variant=["adamw"], kind=["autoneb"], pair=PAIRS, position=positions, **axes)


def profile_tables(middle=4.0, dip=0.5, factors=EVEN):
    losses = cells(np.linspace(0, 1, 101))
    bumps = losses["kind"].map({"straight": 100.0, "bezier": 4.0, "polygon": 1.5, "autoneb": 1.1})
    losses["train_loss"] = 0.02 * np.exp(np.log(bumps) * np.sin(np.pi * losses["position"]))
    losses["held_out_loss"] = 5.0 * hill(losses["position"], 0.9)
    curvature = cells(POSITIONS)
    rise = hill(curvature["position"], middle, dip) * by_pair(curvature, factors)
    curvature["trace"] = 300.0 * np.where(curvature["kind"] == "autoneb", rise, 1.0)
    curvature["trace_se"] = 0.05 * curvature["trace"]
    curvature["fisher"] = 0.9 * curvature["trace"]
    higher = np.where(curvature["variant"] == "sgd", 1.5, 1.0)  # λ_max rises to 2 or 3 times
    curvature["lambda_max"] = 10.0 * hill(curvature["position"], 2.0 * higher)
    lengths = cells([0]).drop(columns="position").assign(straight=100.0)
    lengths["length"] = lengths["kind"].map({"straight": 100, "bezier": 110, "polygon": 170, "autoneb": 180})
    return losses, curvature, lengths


def group_tables(middle=4.0, shrink=0.5, factors=EVEN):
    """Every group's Tr H_g rises by `middle`, its norm falls to `shrink`."""
    groups = main_path(POSITIONS, group=GROUPS)
    size = groups["group"].map(dict(zip(GROUPS, [12, 4, 4, 4, 4, 8, 8, 12], strict=True)))
    groups["norm"] = size * hill(groups["position"], shrink)
    groups["trace"] = 300 / size * hill(groups["position"], middle) * by_pair(groups, factors)
    groups["trace_se"] = 0.1 * groups["trace"]
    groups["radial"] = 0.002
    trace = groups.groupby(["variant", "kind", "pair", "position"], as_index=False)["trace"].sum()
    return groups, trace


def spectrum_tables(middle=3.0, factors=EVEN):
    eigenvalues = main_path(POSITIONS, rank=range(1, 9))
    rise = hill(eigenvalues["position"], middle) * by_pair(eigenvalues, factors)
    eigenvalues["eigenvalue"] = 12.0 / eigenvalues["rank"] * rise
    eigenvalues["residual"] = 1e-4 * eigenvalues["eigenvalue"]
    tables = []
    for pair, top in zip(PAIRS, (36.0, 40.0, 44.0), strict=True):
        at = np.linspace(-0.1 * top, 1.05 * top, 241)
        for position, scale in {0.0: 0.3, 0.1: 0.2, 0.25: 0.6, 0.5: 1.0}.items():
            bulk = np.exp(-0.5 * (at / (0.01 * top)) ** 2) / (0.01 * top * np.sqrt(2 * np.pi))
            tail = np.where(
                (at > 0) & (at < scale * top), 1e-3 * scale * np.exp(-4 * at / top / scale), 1e-12
            )
            tables.append(
                pd.DataFrame({"eigenvalue": at, "density": bulk + tail}).assign(pair=pair, position=position)
            )
    spectrum = pd.concat(tables, ignore_index=True).assign(variant="adamw", kind="autoneb")
    curvature = main_path(POSITIONS)
    curvature["square"] = (50 * hill(curvature["position"], middle) * by_pair(curvature, factors)) ** 2
    curvature["noise"] = 3.0 * hill(curvature["position"], 2.0) * by_pair(curvature, factors)
    curvature["noise_square"] = 0.5
    curvature["shared"] = 0.6 * np.sqrt(curvature["square"] * 0.5)
    curvature["shared_se"] = 0.02 * curvature["shared"]
    return spectrum, eigenvalues, curvature


def criteria_tables(middle=4.0, bend=5.0, factors=EVEN):
    """Tr H rises by `middle`, ‖c‖² by 1.5, Tr B² by `bend` squared; a² is flat. D = 1 is constant."""
    criteria = main_path(POSITIONS, dim=[1, 16], sigma=SIGMAS)
    sigma, position = criteria["sigma"], criteria["position"]
    wide = criteria["dim"] == 16
    own = by_pair(criteria, factors)
    criteria["value"] = 1e-4
    criteria["slope"] = sigma**2 * np.where(wide, hill(position, 1.5) * own, 1.0)
    square = 1e4 * np.where(wide, hill(position, bend) ** 2 * own, 1.0)
    criteria["curvature"] = 1.5 * sigma**4 / 2 * square
    criteria["cross"] = -0.1 * sigma**2
    criteria["variance"] = criteria["slope"] + sigma**4 / 2 * square
    curvature = main_path(POSITIONS)
    curvature["trace"] = 300 * hill(curvature["position"], middle, dip=0.5)
    return criteria, curvature


# ---------------------------------------------------------------- ratios


def table(values, positions=(0, 0.1, 0.5, 0.9, 1)):
    """A row of values a pair."""
    rows = grid(pair=[str(i) for i in range(len(values))], position=positions)
    return rows.assign(loss=np.ravel(values).astype(float))


def test_ratios_are_within_a_pair_and_need_no_order():
    rows = table([[2, 9, 8, 9, 6], [1, 9, 8, 9, 1]])
    assert middle_over_ends(rows.sample(frac=1, random_state=0), "loss").to_list() == [2, 8]
    assert barrier(rows, "loss").to_list() == [1.5, 9]
    assert over_ends(rows, "loss").to_list()[:3] == [0.5, 9 / 4, 2]


def test_the_middle_is_from_0_4_to_0_6_however_the_positions_are_rounded():
    rows = table([[1, 50, 2, 3, 4, 50, 1]], positions=[0, 0.39, 0.4 - 1e-12, 0.5, 0.6 + 1e-12, 0.61, 1])
    assert middle_over_ends(rows, "loss").to_list() == [3]


def test_no_ratio_to_ends_that_are_not_above_0():
    rows = table([[-1, 1, 2, 1, -1], [1, 1, 2, 1, 1]])
    assert middle_over_ends(rows, "loss").isna().to_list() == [True, False]
    assert over_ends(rows, "loss")[:5].isna().all()
    assert dip_over_ends(rows, "loss").isna().all()


def test_two_kinds_of_path_at_once_are_refused():
    rows = table([[1, 1, 2, 1, 1]])
    with pytest.raises(ValueError, match="one kind"):
        middle_over_ends(pd.concat([rows, rows]), "loss")


def test_a_dip_is_found_at_its_distance_from_either_end():
    assert dip_over_ends(table([[2, 1, 4, 1, 2]] * 3), "loss").to_list() == [0.5, 0.5, 0.5]
    assert dip_over_ends(table([[2, 1, 4, 3, 2]] * 2), "loss").to_list() == [1, 1]


def test_noise_is_no_dip():
    """The lowest value of each pair is 20 % below its ends; chosen without it, the place is not low."""
    values = 1 + 0.1 * np.random.default_rng(0).normal(size=(200, 13))
    values[:, [0, -1]] = 1
    rows = table(values, positions=np.linspace(0, 1, 13))
    assert rows.groupby("pair")["loss"].min().mean() < 0.86
    assert dip_over_ends(rows, "loss").mean() == pytest.approx(1, abs=0.02)
    assert dip_over_ends(table([[1, 1, 1, 1, 1]]), "loss").isna().all()


# ---------------------------------------------------------------- captions

PAIRS_COUNTED = "over 3 independent pairs"
CASES = {
    path_profile: (
        profile_tables,
        [
            "Between minima of AdamW, Tr H is above 1 for AutoNEB (4 [4, 4]); not told apart from 1 for",
            "λ_max is above 1 for straight line (2 [2, 2]), Bézier (2 [2, 2]), polygon",
            "Between minima of SGD, Tr H is above 1 for AutoNEB (4 [4, 4])",
            "λ_max is above 1 for straight line (3 [3, 3]), AutoNEB (3 [3, 3]).",
            "AdamW, straight line 100 [100, 100], Bézier 4 [4, 4], polygon 1.5 [1.5, 1.5], AutoNEB 1.1",
            "; SGD, straight line 100 [100, 100], AutoNEB 1.1",
            "Tr H is lower than at the ends (0.5 [0.5, 0.5] times)",
            "held-out loss in the middle is lower than at the ends (0.9 [0.9, 0.9] times)",
            "the Fisher (drawn labels) higher than at the ends (4 [4, 4] times)",
            "Mean trace of the Fisher over mean Tr H: 0.9 [0.9, 0.9]; standard error of one Tr H: 5 %",
            "AdamW, Bézier 1.1 [1.1, 1.1], polygon 1.7 [1.7, 1.7], AutoNEB 1.8 [1.8, 1.8]; SGD, AutoNEB 1.8",
        ],
    ),
    path_groups: (
        group_tables,
        [
            # Tr H_g goes to 4 times and ‖W_g‖² to a quarter: nothing of the rise is left.
            "Part of the rise is scale: 1 [1, 1] of the log-rise of Tr H is gone when each group is scaled",
            "Tr H in the middle (0.4 to 0.6) is higher than at the ends (4 [4, 4] times)",
            "is 0.016 [0.016, 0.016] of the tangent's square",
            "‖W_g‖ is below 1 for embedding (0.5 [0.5, 0.5]), query",
        ],
    ),
    path_spectrum: (
        spectrum_tables,
        [
            "‖H‖_F, which the whole spectrum enters, is higher than at the ends (3 [3, 3] times)",
            "higher at ranks 1 to 8 (rank 1: 3 [3, 3], rank 8: 3 [3, 3])",
            " larger than that at 0 (",
            "Tr Σ in the middle is higher than at the ends (2 [2, 2] times)",
            "with H is 0.6 [0.6, 0.6] (mean over the path), in the middle not told apart from the",
            "One Tr HΣ has a standard error of 2 % (median); residuals are at most 1.0e-04",
        ],
    ),
    path_criteria: (
        criteria_tables,
        [
            "the curvature-aligned probe rises with it at σ = 0.0001, σ = 0.001, σ = 0.01; a² is not told",
            "Tr H is higher than at the ends (4 [4, 4] times), a² not told apart from the ends (1 [1",
            "slope term higher than at the ends (1.5 [1.5, 1.5] times), the curvature term higher than at",
            "at D = 16: of Var δ above 1 for σ = 0.0001 (1.5 [1.5, 1.5]), σ = 0.001 (1.62 [1.62, 1.62])",
            "a² 0 [0, 0], not told apart from 0",
        ],
    ),
}


@modules(CASES)
def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(module, tmp_path):
    make, findings = CASES[module]
    check(module, make(), [*findings, PAIRS_COUNTED], tmp_path)


@modules(CASES)
def test_few_positions_and_two_pairs_are_enough(module):
    """The smoke configuration: 0, 1/4, 1/2, 3/4, 1."""
    tables = []
    for full in CASES[module][0]():
        if "position" in full and module is not path_spectrum:
            full = full[full["position"].isin([0, 0.5, 1])]
        tables.append(full[full["pair"] != "4-5"])
    _, caption = laid_out(module, tables)
    assert "over 2 independent pairs" in caption


def test_pairs_that_scatter_around_no_rise_show_none():
    _, caption = drawn(path_profile, profile_tables(middle=1, dip=1, factors=SCATTER))
    assert "Tr H is above" not in caption
    assert "Tr H is not told apart from 1 for straight line (1 [1, 1]), Bézier (1 [1, 1])" in caption
    assert "AutoNEB (1 [0.032, 31])" in caption
    assert "Tr H is not told apart from the ends (1 [0.032, 31] times)" in caption
    assert "(drawn labels) not told apart from the ends (1 [0.032, 31] times)" in caption

    _, caption = drawn(path_groups, group_tables(middle=1, shrink=1, factors=SCATTER))
    assert "There is no clear rise of Tr H in every pair" in caption
    assert "Part of the rise" not in caption
    assert "higher" not in caption
    assert "above 1 for" not in caption

    _, caption = drawn(path_spectrum, spectrum_tables(middle=1, factors=SCATTER))
    assert (
        "‖H‖_F, which the whole spectrum enters, is not told apart from the ends (1 [0.0319, 31.3] times)"
        in caption
    )
    assert "over ends: not told apart at ranks 1 to 8" in caption
    assert "higher" not in caption

    _, caption = drawn(path_criteria, criteria_tables(bend=1, factors=SCATTER))
    assert "Var δ of the curvature-aligned probe is not told apart from its ends at σ = 0.0001" in caption
    assert "rises" not in caption
    assert "above 1 for" not in caption


def test_without_a_barrier_the_probe_has_none_to_see():
    _, caption = drawn(path_criteria, criteria_tables(middle=1))
    assert caption.startswith("Tr H shows no clear barrier")
    assert "rises with" not in caption


def test_a_falling_probe_does_not_see_the_barrier():
    criteria, curvature = criteria_tables()
    criteria["variance"] = (
        criteria["variance"].groupby(criteria["sigma"]).transform("max") ** 2 / (criteria["variance"])
    )
    _, caption = drawn(path_criteria, (criteria, curvature))
    assert "probe falls at σ = 0.0001, σ = 0.001, σ = 0.01;" in caption


def test_only_the_widest_probe_and_each_sigma_count():
    """D = 1 is constant in the tables; σ = 0.01 alone sees curvature if the slope is flat."""
    criteria, curvature = criteria_tables()
    flat = criteria["sigma"] < 0.005
    criteria.loc[flat, ["slope", "variance"]] = 1e-8
    _, caption = drawn(path_criteria, (criteria, curvature))
    assert "rises with it at σ = 0.01; is not told apart from its ends at σ = 0.0001, σ = 0.001;" in caption


# ---------------------------------------------------------------- scale


def test_the_share_of_scale_lies_between_none_and_all_of_the_rise():
    _, caption = drawn(path_groups, group_tables(middle=16, shrink=0.5))
    assert "Part of the rise is scale: 0.5 [0.5, 0.5] of the log-rise" in caption
    _, caption = drawn(path_groups, group_tables(middle=4, shrink=2))
    assert (
        "The rise is no matter of scale: scaled to norm 1 the log-rise of Tr H grows by 1 [1, 1]" in caption
    )
    _, caption = drawn(path_groups, group_tables(middle=4, shrink=1))
    assert "is not told apart from 0 (0 [" in caption


def test_a_share_of_scale_that_scatters_around_0_is_none():
    groups, curvature = group_tables(middle=4, shrink=1)
    inner = groups["position"].between(0.3, 0.7)
    groups.loc[inner, "norm"] *= groups.loc[inner, "pair"].map(
        dict(zip(PAIRS, [1.5, 1 / 1.5, 1], strict=True))
    )
    _, caption = drawn(path_groups, (groups, curvature))
    assert "gone when each group is scaled to norm 1 is not told apart from 0" in caption
    assert "Part of" not in caption


def test_a_group_that_its_error_hides_has_no_ratio_and_leaves_its_curve():
    groups, curvature = group_tables()
    hidden = (groups["group"] == "head") & (groups["pair"] == "2-3")
    groups.loc[hidden & groups["position"].between(0.4, 0.6), "trace"] *= -1
    once = (groups["group"] == "up") & (groups["pair"] == "0-1") & (groups["position"] == POSITIONS[3])
    groups.loc[once, "trace_se"] = groups.loc[once, "trace"]
    figure, caption = laid_out(path_groups, (groups, curvature))
    assert "4 of 360 Tr H_g are not above 2 standard errors" in caption
    assert "No ratio is drawn of head, not as clear" in caption
    assert "not told apart from 1 for embedding, query, key, value, output, up, down. That" in caption
    ratios = path_groups.group_ratios(path_groups.scaled(groups[groups["group"] == "head"]))
    assert ratios["trace"].isna().to_list() == [False, True, False]
    _, raw, _, points = figure.axes
    lengths = sorted(len(line.get_xdata()) for line in raw.lines)
    assert lengths == [12, 14, *[15] * 7]  # head, up, six groups and Tr H
    assert len(points.containers) == 2 * len(GROUPS)  # not head, but the sum


# ---------------------------------------------------------------- panels


def test_curves_are_geometric_means_of_their_own_table():
    losses, curvature, lengths = profile_tables(factors=(2.0, 0.5, 3.0))
    figure, _ = drawn(path_profile, (losses, curvature, lengths))
    wanted = {
        "training": (losses, "train_loss"),
        "held-out": (losses, "held_out_loss"),
        "Tr}": (curvature, "trace"),
        "lambda": (curvature, "lambda_max"),
    }
    for name, (table, column) in wanted.items():
        (panel,) = (axes for axes in figure.axes if name in axes.get_ylabel())
        for kind in KINDS["adamw"]:
            rows = path_profile.rows_of(table, kind)
            means = np.exp(np.log(rows[column]).groupby(rows["position"]).mean())
            (line,) = (
                line
                for line in panel.lines
                if line.get_color() == path_profile.KINDS[kind] and line.get_linewidth() == 1.2
            )
            assert np.allclose(line.get_ydata(), means[line.get_xdata()])
    (panel,) = (axes for axes in figure.axes if "Tr}" in axes.get_ylabel())
    (fisher,) = (line for line in panel.lines if line.get_linestyle() == "--")
    main = path_profile.rows_of(curvature)
    assert np.allclose(fisher.get_ydata(), np.exp(np.log(main["fisher"]).groupby(main["position"]).mean()))
    thin = [line for line in panel.lines if line.get_linewidth() == 0.5]
    assert len(thin) == len(PAIRS)


def test_paths_of_high_loss_have_open_markers():
    figure, _ = drawn(path_profile, profile_tables())
    (panel,) = (axes for axes in figure.axes if "middle / ends" in axes.get_xlabel())
    marks = [point.lines[0] for point in panel.containers]
    fills = [mark.get_fillstyle() for mark in marks]
    # straight, bezier, polygon, autoneb; straight, autoneb; Tr H and λ_max of each
    assert fills == ["none"] * 6 + ["full"] * 2 + ["none"] * 2 + ["full"] * 2
    assert [round(mark.get_xdata()[0], 6) for mark in marks] == [1, 2] * 3 + [4, 2] + [1, 3] + [4, 3]


def test_what_a_logarithmic_axis_cannot_show_is_said():
    losses, curvature, lengths = profile_tables()
    odd = (
        (curvature["kind"] == "straight") & (curvature["position"] == 0.5) & (curvature["variant"] == "adamw")
    )
    curvature.loc[odd & (curvature["pair"] == "0-1"), "trace"] = -5.0
    _, caption = laid_out(path_profile, (losses, curvature, lengths))
    assert "1 values that are not above 0 are not drawn" in caption


def test_huge_intervals_are_cut_and_that_is_said():
    _, caption = laid_out(path_profile, profile_tables(factors=(1e4, 1e-4, 1.0)))
    assert "Intervals are cut a factor of 30 beyond the means" in caption
    _, caption = drawn(path_profile, profile_tables())
    assert "Intervals are cut" not in caption


@pytest.mark.parametrize(("spread", "cut"), [(1e4, True), (2.0, False)])
def test_ratios_are_cut_too(spread, cut):
    figure, panel = style.new_figure(2)
    plt.close(figure)
    paths.ratio_point(panel, 0, pd.Series([spread, 1 / spread, 1.0]), fmt="o")
    paths.ratio_point(panel, 1, pd.Series([np.nan, 2.0, 2.0]), fmt="o")  # judged by no pair, so not drawn
    assert paths.ratio_axis(panel, ["a", "b"], "ratio") is cut
    assert len(panel.containers) == 1
    left, right = panel.get_xlim()
    assert 1 / 31 < left < 1 < right < 31


def test_densities_of_pairs_with_other_grids_are_averaged_where_they_are():
    spectrum, eigenvalues, _ = spectrum_tables()
    rows = spectrum[spectrum["position"] == 0.5]
    by_pair = path_spectrum.on_shared_grid(rows)
    assert list(by_pair) == PAIRS
    assert (by_pair.loc[by_pair.index > 1.06 * 36, "0-1"] == 0).all()
    assert np.trapezoid(by_pair["4-5"], by_pair.index) == pytest.approx(1, abs=0.02)
    share = path_spectrum.large_share(spectrum, eigenvalues)
    own = rows[(rows["pair"] == "0-1") & (rows["eigenvalue"] > 3.6)]  # a tenth of 3 * 12
    assert share.loc["0-1", 0.5] == pytest.approx(np.trapezoid(own["density"], own["eigenvalue"]), rel=0.02)
