"""Paper A's claims, in the order of the ledger: how each is read off its tables. Seeds are the repeats."""

import numpy as np
import pandas as pd

from valleyscope.claims.verdicts import Cell, Evidence, claim, tally
from valleyscope.readings import landscape as readings
from valleyscope.readings.decay import slopes_of_points
from valleyscope.readings.intervals import geometric_mean, measured, quoted
from valleyscope.readings.landscape import nearest, per_seed, slope, slopes_of
from valleyscope.readings.paths import barrier, middle_over_ends

PAPER = "Kiselev & Grabovoy 2026"
OURS = "open question"

# ---------------------------------------------------------------- A1, A2: decay with k


def rate_cells(slopes: pd.DataFrame, regime: str, rate: float) -> list[Cell]:
    """γ of the closed forms of Δ₂ and Δ₂^(D), a cell a (D, σ)."""
    cells = []
    for criterion in ("delta2", "delta2_D"):
        for (dim, sigma), rows in slopes_of(slopes, regime, "single", criterion).groupby(["dim", "sigma"]):
            name = "full space" if criterion == "delta2" else f"D = {dim}"
            cells.append(Cell(f"{name}, σ = {sigma:g}", rows["slope"].to_numpy(), rate, "below"))
    return cells


def fixed_rate(slopes: pd.DataFrame, regime: str, next_: str) -> str:
    """γ of Δ₂ at weights that do not change with k, in words."""
    return quoted(per_seed(slopes_of(slopes, regime, next_, "delta2"), "slope"))


@claim(
    "A1",
    source=f"{PAPER}, Fig. 2",
    statement="Δ₂ and Δ₂^(D) are O(k⁻²)",
    metric="γ of (k+1)²Δ, single next sample",
    figure="decay",
    threshold="rate",
)
def a1(slopes, *, rate) -> Evidence:
    """γ = 0 is exactly k⁻², γ > 0 a slower decay: a cell holds up to `rate` and fails beyond.

    Weights that do not change with k have γ = 0 by algebra, so γ = 0 there says nothing about training.
    """
    return Evidence(
        rate_cells(slopes, "trajectory", rate),
        f"fixed random weights: γ = {fixed_rate(slopes, 'random', 'single')}, "
        f"of the expected next sample {fixed_rate(slopes, 'random', 'expected')}",
    )


@claim(
    "A1e",
    source=OURS,
    statement="The same for the expected next sample",
    metric="γ of E(ℓ − L_k)² over held-out samples",
    figure="decay",
    threshold="rate",
)
def a1e(slopes, points, *, rate) -> Evidence:
    """As A1, without the scatter of a single next sample.

    The control says over which k γ comes about (the later half alone) and whether the gap to the mean loss or
    the variance of single losses grows.
    """
    along = points[points["regime"] == "trajectory"]
    late = along[along["k"] >= along["k"].median()]
    lately = slopes_of_points(late, ["next_square"])["slope"] if late["k"].nunique() > 1 else []
    gap, variance = (
        slope(slopes, "trajectory", "expected", f"next_{name}") for name in ("square", "variance")
    )
    return Evidence(
        [Cell("trajectory", gap.to_numpy(), rate, "below")],
        f"from k = {late['k'].min():.0f} on: γ = {quoted(lately)}; Var ℓ alone: γ = {quoted(variance)}; "
        f"fixed random weights: γ = {fixed_rate(slopes, 'random', 'expected')}; all seeds share one held-out "
        "set",
    )


@claim(
    "A2",
    source=f"{PAPER}, Fig. 2",
    statement="Δ₁ decays more slowly",
    metric="exponent of Δ₁ less that of √Δ₂",
    figure="decay",
    threshold="slower",
)
def a2(slopes, *, slower) -> Evidence:
    """Holds where Δ₁ falls more slowly than √Δ₂, which has its unit, by more than `slower` in the exponent.

    Where a² dominates Δ₂ the two are alike by algebra. Against Δ₂ itself, in unlike units, Δ₁ always looks
    slower: the control.
    """
    first = slope(slopes, "trajectory", "single", "delta1")
    second = {
        sigma: rows.set_index("seed")["slope"]
        for sigma, rows in slopes_of(slopes, "trajectory", "single", "delta2").groupby("sigma")
    }
    # Exponents as they are: γ₁ − 1 of Δ₁ and (γ₂ − 2)/2 of √Δ₂.
    cells = [
        Cell(f"σ = {sigma:g}", (first - gamma / 2).to_numpy(), slower, "above")
        for sigma, gamma in second.items()
    ]
    raw = (first - 1) - (second[min(second)] - 2)
    return Evidence(cells, f"Δ₁ against Δ₂, in unlike units: {quoted(raw)}")


# ---------------------------------------------------------------- A3: the ratio, and what makes it

MEASURED_WHERE = {"trajectory": "at the end of training", "minimisers": "at minimisers"}


def up_to_star(terms: pd.DataFrame, validity: pd.DataFrame, regime: str) -> tuple[pd.DataFrame, str, str]:
    """The ratios of a regime at σ ≤ σ* of full space, what limits them, and why none is judged, if so.

    Where no σ is valid the ratios are those of the whole grid: shown, not judged.
    """
    table = readings.ratios(terms)
    table = table[table["regime"] == regime]
    star = readings.sigma_star(validity, readings.MEASURED_AT[regime])
    valid = readings.valid_sigmas(table["sigma"], star)
    told = f"σ* {quoted(star, log=True, nothing='none')} {MEASURED_WHERE[regime]}"
    if not valid:
        return table, "", f"no σ of the grid is valid in every seed: {told}"
    beyond = ", ".join(f"{sigma:g}" for sigma in sorted(set(table["sigma"]) - set(valid)))
    note = f"{told}; σ = {beyond} beyond it, not judged" if beyond else told
    return table[table["sigma"].isin(valid)], note, ""


def ratio_cells(table: pd.DataFrame, limit: float) -> list[Cell]:
    """|Δ₂^(D)/Δ₂ − 1| at the worst k, a cell a (D, σ)."""
    return [
        Cell(
            f"D = {dim}, σ = {sigma:g}, worst k", readings.off_one(rows).to_numpy(), limit, "below", log=True
        )
        for (dim, sigma), rows in table.groupby(["dim", "sigma"])
    ]


def spread_cells(table: pd.DataFrame, limit: float) -> list[Cell]:
    """The spread ratio of the largest D over all k, a cell a σ."""
    dim = table["dim"].max()
    return [
        Cell(f"D = {dim}, σ = {sigma:g}", readings.spread_ratio(rows).to_numpy(), limit, "above", log=True)
        for sigma, rows in table[table["dim"] == dim].groupby("sigma")
    ]


@claim(
    "A3",
    source=f"{PAPER}, Fig. 3",
    statement="Δ₂^(D)/Δ₂ ≈ 1 for σ ≤ σ*",
    metric="|Δ₂^(D)/Δ₂ − 1|",
    figure="ratio",
    threshold="ratio",
)
def a3(terms, validity, *, ratio) -> Evidence:
    """A (D, σ) holds if the ratio is within `ratio` of 1 at the worst k; σ beyond σ* are not judged.

    The control is the ratio of a probe of no directions, a²/Δ₂: where that is as near to 1, the ratio says
    nothing about the subspace (A3x).
    """
    table, note, untestable = up_to_star(terms, validity, "trajectory")
    alone = quoted(readings.off_one(table, "shared"), log=True)
    return Evidence(
        ratio_cells(table, ratio),
        f"a² alone over Δ₂, which any probe has: off 1 by {alone} at the worst k and σ",
        note,
        untestable,
    )


@claim(
    "A3x",
    source=f"{PAPER}, reading of Fig. 3",
    statement="…because of the subspace",
    metric="spread ratio Var_z δ / Var_w δ",
    figure="ratio",
    threshold="spread_ratio",
)
def a3x(terms, validity, subspaces, *, spread_ratio) -> Evidence:
    """Holds where the largest D keeps more than `spread_ratio` of what the probe adds to a².

    A random subspace of that D is the control: the top one must keep far more. Beside it the ratio of A3
    where a² is smallest, the one place at which that ratio can tell.
    """
    table, note, untestable = up_to_star(terms, validity, "trajectory")
    top = readings.ratios(terms)
    top = top[(top["regime"] == "trajectory") & (top["dim"] == top["dim"].max())]
    dim, least = top["dim"].max(), top.sort_values("shared").iloc[0]
    times = per_seed(top.assign(times=top["gradient_share"] / top["chance"]), "times")
    random = subspaces[(subspaces["regime"] == "trained") & (subspaces["subspace"] == "random")]
    random = readings.spread_ratio(random[random["dim"] == dim])
    return Evidence(
        spread_cells(table, spread_ratio),
        f"captured share {quoted(per_seed(top, 'gradient_share'), log=True)}, {quoted(times, log=True)} "
        f"times D/N; spread ratio of a random subspace of {dim} dimensions at the last weights "
        f"{quoted(random, log=True)}; where a² is smallest ({least['shared']:.2g} of Δ₂, "
        f"k = {least['k']:.0f}, σ = {least['sigma']:g}) the ratio is {least['ratio']:.2g}",
        note,
        untestable,
    )


# ---------------------------------------------------------------- A4 to A6: the quadratic model


@claim(
    "A4",
    source=f"{PAPER}, Fig. 4",
    statement="A σ* exists below which the quadratic model is accurate",
    metric="σ*",
    figure="expansion",
    threshold="sigma_star",
)
def a4(validity, *, sigma_star) -> Evidence:
    """A (regime, dim) holds if σ* is above `sigma_star`; a seed without σ* counts as 0.

    The control is rounding: in float32 and bfloat16 there is also a floor from which on the model is seen.
    """
    exact = validity[(validity["precision"] == "float64") & (validity["quantity"] == "increment")]
    cells = [
        Cell(f"{regime}, dim {dim}", rows["sigma_star"].fillna(0).to_numpy(), sigma_star, "above", log=True)
        for (regime, dim), rows in exact.groupby(["regime", "dim"])
    ]
    floors = "; ".join(
        f"{name}: model holds from σ = {stretch(validity, name)}" for name in ("float32", "bfloat16")
    )
    scaled = exact.assign(scaled=exact["sigma_star"] * np.sqrt(exact["dim"])).groupby("dim")["scaled"]
    by_dim = ", ".join(f"{dim}: {geometric_mean(measured(rows, log=True)):.2g}" for dim, rows in scaled)
    return Evidence(cells, f"full space, {floors}; σ*√dim by dim: {by_dim}")


def stretch(validity: pd.DataFrame, precision: str) -> str:
    """From which to which σ the model holds in full space at the end of training, in words."""
    ends = (
        readings.sigma_star(validity, "trained", precision=precision, column=column)
        for column in ("sigma_floor", "sigma_star")
    )
    return " to ".join(quoted(end, log=True) for end in ends)


def most_draws(estimators: pd.DataFrame) -> pd.DataFrame:
    """Trained weights at the largest S, with the model's error |mean(δ² − q²)| on shared draws over what the
    probe adds to a² (`off`) and over all of Δ (`trivial`)."""
    rows = estimators[estimators["regime"] == "trained"]
    rows = rows[rows["samples"] == rows["samples"].max()]
    error, added = rows["difference"].abs(), rows["beyond"].abs()
    return rows.assign(off=error / added, trivial=error / rows["gaussian_moment"])


def off_cell(label: str, rows: pd.DataFrame, limit: float) -> Cell:
    """The error at one (D, σ), a² taken out; in logarithms one seed near 0 would hide the others."""
    return Cell(label, per_seed(rows, "off").to_numpy(), limit, "below")


@claim(
    "A5",
    source=f"{PAPER}, Fig. 5",
    statement="Both Monte Carlo estimators converge to the closed form",
    metric="|mean(δ² − q²)| / |Δ − a²|",
    figure="convergence",
    threshold="disagreement",
)
def a5(estimators, *, disagreement, fig5) -> Evidence:
    """Holds if at the published (D, σ) direct and quadratic Monte Carlo differ by less than `disagreement`.

    With a² left in, which all estimators share, they agree whatever the model does: the control.
    """
    rows = most_draws(estimators)
    dim, sigma = (nearest(rows[name], fig5[name]) for name in ("dim", "sigma"))
    rows = rows[(rows["dim"] == dim) & (rows["sigma"] == sigma)]
    scatter = per_seed(rows.assign(scatter=rows["direct_se"] / rows["beyond"].abs()), "scatter")
    return Evidence(
        [off_cell(f"D = {dim}, σ = {sigma:g}, S = {rows['samples'].max()}", rows, disagreement)],
        f"with a² left in: {quoted(per_seed(rows, 'trivial'), log=True)}; Monte Carlo's own standard error "
        f"over Δ − a²: {quoted(scatter, log=True)}",
    )


@claim(
    "A6",
    source=f"{PAPER}, Fig. 6",
    statement="The closed form agrees with direct Monte Carlo over (D, σ)",
    metric="|mean(δ² − q²)| / |Δ − a²|",
    figure="error_map",
    threshold="disagreement",
)
def a6(estimators, *, disagreement, fig6) -> Evidence:
    """As A5, a cell a (D, σ) up to the largest σ of the published map.

    With a² left in, the control, hardly a cell could fail.
    """
    rows = most_draws(estimators)
    cells = rows[rows["sigma"] <= fig6["sigma"]].groupby(["dim", "sigma"])
    return Evidence(
        [off_cell(f"D = {dim}, σ = {sigma:g}", cell, disagreement) for (dim, sigma), cell in cells],
        f"with a² left in the worst cell is off by {cells['trivial'].mean().max():.2g}",
    )


# ---------------------------------------------------------------- A7: cost


def seconds(timing: pd.DataFrame, procedure: str, stage: str, estimator: str = "") -> pd.Series:
    """Timed calls at the smallest k, in the order of their repeats."""
    rows = timing[(timing["procedure"] == procedure) & (timing["k"] == timing["k"].min())]
    rows = rows[(rows["stage"] == stage) & (rows["estimator"].fillna("") == estimator)]
    return rows.sort_values("repeat")["seconds"].reset_index(drop=True)


def where_timed(timing: pd.DataFrame) -> str:
    """What limits a claim about seconds."""
    return f"one model, k = {timing['k'].min()}, the least favourable to the closed form"


@claim(
    "A7",
    source=f"{PAPER}, Table 3",
    statement="The closed form is ≥ 10⁴ times faster after set-up",
    metric="seconds of S draws over seconds of the closed form",
    figure="cost",
    threshold="evaluation",
)
def a7(timing, *, evaluation) -> Evidence:
    """Holds where evaluation alone is more than `evaluation` times as fast as S draws, batched or not.

    The control is the same ratio end to end: the closed form's set-up costs as many products as draws do.
    """
    cells = []
    for name, procedure, estimator in (
        ("batched Monte Carlo", "corrected", "direct"),
        ("unbatched, as published", "published", "direct_unbatched"),
    ):
        drawn, closed = (
            seconds(timing, procedure, "III evaluation", by) for by in (estimator, "gaussian_moment")
        )
        cells.append(Cell(name, (drawn / closed).to_numpy(), evaluation, "above", log=True))
    first, second = (seconds(timing, "corrected", stage) for stage in ("I subspace", "II coefficients"))
    whole = (first + seconds(timing, "corrected", "III evaluation", "direct")) / (first + second)
    control = f"end to end the same ratio is {quoted(whole, log=True)}"
    return Evidence(cells, control, where_timed(timing))


@claim(
    "A7x",
    source=OURS,
    statement="The closed form is faster end to end at equal accuracy",
    metric="seconds to that accuracy over seconds of the closed form",
    figure="cost",
    threshold="end_to_end",
)
def a7x(timing, accuracy, *, end_to_end, rmse) -> Evidence:
    """A σ holds if Monte Carlo needs longer, set-up included, for an error of `rmse` of Δ or of Δ − a².

    A closed form whose bias exceeds `rmse` never gets there: gain 0. The control says at how many draws the
    order flips, and how it would look if one set-up served a whole grid of σ.
    """
    first, second = (seconds(timing, "corrected", stage) for stage in ("I subspace", "II coefficients"))
    direct = seconds(timing, "corrected", "III evaluation", "direct")
    cells, notes = [], []
    for _, row in accuracy.sort_values("sigma").iterrows():
        for name, size in (("Δ", row["direct"]), ("Δ − a²", abs(row["direct"] - row["value"]))):
            draws = max(1.0, row["samples"] * (row["direct_se"] / size / rmse) ** 2)
            bias = abs(row["difference"]) / size
            gain = (first + direct * draws / row["samples"]) / (first + second) * (bias <= rmse)
            cell = Cell(f"σ = {row['sigma']:g}, {name}", gain.to_numpy(), end_to_end, "above", log=True)
            told = quoted(gain, log=bias <= rmse)
            cells.append(cell)
            notes.append(f"{cell.label}: bias {bias:.2g}, S {draws:.2g}, ratio {told}")
    samples, count = accuracy["samples"].max(), len(accuracy)
    grid = (first + count * direct) / (first + second)
    return Evidence(
        cells,
        f"crossover S* = {samples * second.median() / direct.median():.0f} draws; over {count} σ with one "
        f"set-up the ratio at S = {samples} is {quoted(grid, log=True)}; for an error of {rmse:g} of Δ, or "
        "of what the probe adds to a², draws S and ratio (0 where the closed form's bias is larger): "
        f"{'; '.join(notes)}",
        where_timed(timing),
    )


# ---------------------------------------------------------------- A8, A9: theorems and other probes


@claim(
    "A8",
    source=f"{PAPER}, Theorem 2",
    statement="Theorem 2 holds everywhere",
    metric="Δ₂^(D) over its bound",
    figure="anatomy",
    threshold="bound",
)
def a8(terms, *, bound) -> Evidence:
    """Each of the two bounds holds if Δ over it stays below `bound` at the worst point of every seed.

    A bound far above everything holds trivially: the control says how far the published one is.
    """
    rows = terms[(terms["next"] == "single") & (terms["criterion"] == "delta2_D")].assign(
        moment=readings.moments
    )
    cells = []
    for name in ("published", "sharper"):
        over = per_seed(rows.assign(over=rows["moment"] / rows[f"{name}_bound"]), "over", "max")
        cells.append(Cell(f"{name} bound, worst of all points", over.to_numpy(), bound, "below", log=True))
    typical = np.log10(rows["published_bound"] / rows["moment"]).median()
    return Evidence(
        cells,
        f"at the median point the published bound is 10^{typical:.1f} times Δ; the tests hold a constructed "
        "case that nearly reaches the sharper one",
    )


@claim(
    "A9",
    source=f"{PAPER}, Lemma 5",
    statement="The top-D eigenspace is best among eigenspace-aligned probes",
    metric="share of random index sets it beats",
    figure="captured",
    threshold="beaten",
)
def a9(index_sets, lemma5, *, beaten) -> Evidence:
    """A (regime, D) holds if the top-D's quadratic term beats more than the share `beaten` of random sets.

    The control says whether Lemma 5's assumptions hold: without them the order is a finding, not a theorem.
    """
    cells = [
        Cell(f"{regime}, D = {dim}", rows["below"].to_numpy(), beaten, "above")
        for (regime, dim), rows in readings.against_top(index_sets).groupby(["regime", "dim"])
    ]
    nonnegative, order, off_diagonal = (
        quoted(per_seed(lemma5, name)) for name in ("nonnegative", "rank_correlation", "off_diagonal")
    )
    return Evidence(
        cells,
        f"Lemma 5 assumes increments ≥ 0 (share {nonnegative}), in order (rank correlation {order}) and "
        f"diagonal (off-diagonal {off_diagonal})",
    )


@claim(
    "A9x",
    source=OURS,
    statement="The top-D eigenspace against any probe",
    metric="share of the slope over another subspace's",
    figure="captured",
    threshold="probe",
)
def a9x(subspaces, *, probe) -> Evidence:
    """Holds against an opponent of the same D if the top one holds more than `probe` times its share of Δg.

    Random directions are the weakest opponent, batch gradients the strongest. A subspace that holds Δg itself
    has all of it by construction: no opponent but the control, which says how much there is to hold.
    """
    dim = subspaces["dim"].max()
    shares = readings.slope_shares(subspaces).xs(dim, level="dim")
    cells = [
        Cell(
            f"{regime}, D = {dim}, top over {other}",
            (rows["top"] / rows[other]).to_numpy(),
            probe,
            "above",
            log=True,
        )
        for regime, rows in shares.groupby("regime")
        for other in ("random", "bottom", "gradients")
    ]
    one = subspaces[(subspaces["subspace"] == "increment") & (subspaces["dim"] == subspaces["dim"].min())]
    top, increment = (shares[name].groupby("seed").mean() for name in ("top", "increment"))
    return Evidence(
        cells,
        f"by construction one direction along Δg holds {quoted(per_seed(one, 'gradient_share'))} of the "
        f"slope term, the top {dim} {quoted(top, log=True)}; top over the increment's own subspace, shown, "
        f"not judged: {quoted(top / increment, log=True)}",
    )


# ---------------------------------------------------------------- A10, A11: elsewhere


def not_reached(points: pd.DataFrame, lemma5: pd.DataFrame, ridges: pd.Series, stationarity: float) -> str:
    """Why the weights are no minimisers, if so: a gradient left, or a direction that curves down."""
    worst = points["stationarity"].max()
    if not worst <= stationarity:
        return f"‖∇(L_k + ridge)‖² is {worst:.2g} of the gradient noise at the worst point"
    bend = lemma5.loc[lemma5["regime"] == "minimisers", "lambda_min"].min() + ridges.min()
    return "" if bend > 0 else f"λ_min of the Hessian with the ridge is {bend:.2g}: not a minimum"


@claim(
    "A10",
    source=OURS,
    statement="A1, A3 and A3x hold at sequential minimisers",
    metric="as there",
    figure="decay",
    threshold="rate ratio spread_ratio",
)
def a10(
    slopes, terms, validity, points, lemma5, minimisers, *, rate, ratio, spread_ratio, stationarity
) -> Evidence:
    """Cells of the three claims at w*_k, where the papers' theorems are stated, at σ up to σ*.

    Testable only where the search ended at minima (`stationarity`). The control gives γ of the expected next
    sample there, and at weights that stay at the end of training, where it is 0 by algebra.
    """
    table, note, untestable = up_to_star(terms, validity, "minimisers")
    rows = slopes[slopes["sigma"].isin(table["sigma"])]
    parts = {
        "A1": rate_cells(rows, "minimisers", rate),
        "A3": ratio_cells(table, ratio),
        "A3x": spread_cells(table, spread_ratio),
    }
    at = points[points["regime"] == "minimisers"]
    expected = slope(slopes, "minimisers", "expected", "next_square")
    return Evidence(
        [cell for part in parts.values() for cell in part],
        f"cells of {'; '.join(f'{name}: {tally(part)}' for name, part in parts.items())}; γ of the expected "
        f"next sample {quoted(expected)}; ‖∇‖² over gradient noise at most {at['stationarity'].max():.2g}; "
        f"weights fixed at the end of training: γ = {fixed_rate(slopes, 'trained', 'expected')}",
        note,
        not_reached(at, lemma5, minimisers["ridge"], stationarity) or untestable,
    )


QUANTITIES = {  # of A11: column of architectures.csv -> claim, side, whether it scatters by factors
    "rate_delta2": ("A1, Δ₂ of the expected next sample", "below", False),
    "rate_delta2_D": ("A1, Δ₂^(D) of the expected next sample", "below", False),
    "ratio_off": ("A3, worst k", "below", True),
    "spread_ratio": ("A3x", "above", True),
    "sigma_star": ("σ*", "above", True),
}


@claim(
    "A11",
    source=OURS,
    statement="A1, A3, A3x and σ* hold across architectures",
    metric="as there; A1 of the expected next sample",
    figure="architectures",
    threshold="rate ratio spread_ratio sigma_star",
)
def a11(
    architectures,
    architecture_losses,
    architecture_curvature,
    *,
    rate,
    ratio,
    spread_ratio,
    sigma_star,
    middle,
) -> Evidence:
    """A cell an architecture and quantity, judged as there; a run without a valid σ has σ* = 0.

    Controls: γ of untrained weights, the same for all k, is 0 by algebra; a² alone makes a ratio near 1.
    Beside them, whether Tr H rises on a path, Paper B's finding.
    """
    limits = dict(zip(QUANTITIES, (rate, rate, ratio, spread_ratio, sigma_star), strict=True))
    by_name = architectures.groupby("architecture", sort=False)
    cells, held = [], []
    for column, (name, side, log) in QUANTITIES.items():
        part = [
            Cell(f"{kind.replace('_', ' ')}, {name}", rows[column].to_numpy(), limits[column], side, log)
            for kind, rows in by_name
        ]
        cells += part
        held.append(f"{name}: {tally(part)}")
    paths = []
    for kind, bent in architecture_curvature.groupby("architecture", sort=False):
        high = barrier(architecture_losses[architecture_losses["architecture"] == kind])
        rise = middle_over_ends(bent, "trace", middle)
        paths.append(f"{kind} {quoted(rise, log=True)} at a highest loss of {quoted(high, log=True)}")
    alone, shares = (_range(by_name[name].mean()) for name in ("shared_off", "gradient_share"))
    loss = _range(architectures["held_out_loss"], 3)
    none = int((architectures["sigma_star"] == 0).sum())
    return Evidence(
        cells,
        f"of {len(by_name)} architectures {'; '.join(held)}; with untrained weights, the same for all k, |γ| "
        f"is at most {architectures['rate_fixed'].abs().max():.2g}; a² alone over Δ₂ is off 1 by {alone}; "
        f"captured share {shares}; Tr H on a path, middle over ends: {'; '.join(paths)}",
        f"the first steps of one short pass of training, held-out loss {loss} at its last k; all seeds share "
        f"one held-out set; σ* at the end of the pass, none in {none} of {len(architectures)} runs",
    )


def _range(values: pd.Series, digits: int = 2) -> str:
    return f"{values.min():.{digits}g} to {values.max():.{digits}g}"
