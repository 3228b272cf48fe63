"""Paper B's claims, and the one of both papers, in the order of the ledger: how each is read off its tables.

Pairs of minima, or parents of children, are the independent repeats. Windows (`middle`, `inside`, `late`, …)
are those of the configuration, explained in `valleyscope.readings`.
"""

import numpy as np
import pandas as pd

from valleyscope.claims.verdicts import REPRODUCED, Cell, Evidence, claim, tally
from valleyscope.connectivity.valley import COEFFICIENT, NOISES
from valleyscope.readings.averages import differences
from valleyscope.readings.branching import MEASURES, bulges, lags, line_barriers, vanishing_times
from valleyscope.readings.branching import rises as line_rises
from valleyscope.readings.drift import SETTING, base_setting
from valleyscope.readings.intervals import quoted
from valleyscope.readings.paths import (
    FINDERS,
    SCALE_FREE,
    VARIANTS,
    barrier,
    kinds_of,
    low_in_loss,
    middle_over_ends,
    rises,
    rows_of,
    variants_of,
)
from valleyscope.readings.sgd import (
    FAIR,
    Window,
    beyond_control,
    by_start,
    courses,
    directed,
    final_changes,
    last_common_step,
    late_loss,
    late_losses,
    path_loss,
    recession,
    speed_ratio,
    step_sizes,
    uphill,
)

PAPER = "Di Carlo et al. 2026"
OURS = "open question"


def ratio_cell(label: str, by_pair: pd.Series, limit: float, side: str = "above") -> Cell:
    """A cell of ratios, which scatter by factors."""
    return Cell(label, by_pair.to_numpy(), limit, side, log=True)


# ---------------------------------------------------------------- B1: the toy valley


@claim(
    "B1",
    source=f"{PAPER}, Fig. 1B",
    statement="Noise in a flat valley acts as a potential: (T/2) ln g, "
    "and (T/2) g/g₀ if its variance goes as g",
    metric="c of c T ln g or c T g/g₀, over 1/2, less 1",
    figure="valley",
    threshold="coefficient",
)
def b1(valley_fits, *, coefficient) -> Evidence:
    """A (noise, quantity) holds if the fitted coefficient is theory's 1/2 within `coefficient`, relative.

    Controls: half the step size changes nothing, and the law of the other noise does not fit.
    """
    fits = valley_fits.assign(own=valley_fits["law"] == valley_fits["noise"].map(NOISES))
    fine = fits[fits["step_size"] == fits["step_size"].min()]
    right, wrong = fine[fine["own"]], fine[~fine["own"]]
    keys = ["noise", "quantity"]
    cells = [
        Cell(
            f"{noise} noise, {quantity}",
            part["coefficient"].to_numpy() / COEFFICIENT - 1,
            coefficient,
            "within",
        )
        for (noise, quantity), part in right.groupby(keys)
    ]
    steps = fits[fits["own"]].pivot(index=[*keys, "seed"], columns="step_size", values="coefficient")
    halved = (steps.max(axis=1) - steps.min(axis=1)).groupby(keys).mean().max()
    log = right[right["noise"] == "isotropic"].groupby("quantity")["coefficient"]
    fit, other = (part.groupby(keys)["chi2_dof"].mean() for part in (right, wrong))
    published = ", ".join(f"{quoted(values)} ({quantity})" for quantity, values in log)
    return Evidence(
        cells,
        f"c of T ln g, written as 1 in the paper: {published}; halving the step changes c by at most "
        f"{halved:.2g}; χ² over degrees of freedom at most {fit.max():.2g} for the noise's own law, at "
        f"least {other.min():.2g} for the other",
    )


# ---------------------------------------------------------------- B2, B3: paths


@claim(
    "B2",
    source=f"{PAPER}, Fig. 2",
    statement="Independent minima are joined by a low-loss path",
    metric="highest loss on the path over the higher end's",
    figure="path_profile",
    threshold="low_loss",
)
def b2(path_losses, *, low_loss) -> Evidence:
    """Holds for the minima of an optimiser if no point of AutoNEB's path is above `low_loss` times its ends.

    The control is the straight line, which must be far higher; beside it the other path finders.
    """
    cells = [
        ratio_cell(f"AutoNEB, {VARIANTS[v]}", barrier(rows_of(path_losses, variant=v)), low_loss, "below")
        for v in variants_of(path_losses)
    ]
    others = [
        f"{FINDERS[kind]} {quoted(barrier(rows_of(path_losses, kind)), log=True)}"
        for kind in kinds_of(path_losses)
        if kind != "autoneb"
    ]
    highest = max(cell.values.max() for cell in cells)
    return Evidence(cells, f"AdamW, {'; '.join(others)}; highest of any pair by AutoNEB {highest:.3g}")


def too_high(path_losses: pd.DataFrame, limit: float) -> str:
    """Why curvature inside and at the ends cannot be compared, if so."""
    high = [
        f"{VARIANTS[v]} {quoted(barrier(rows_of(path_losses, variant=v)), log=True)}"
        for v in variants_of(path_losses)
        if not low_in_loss(path_losses, limit, variant=v)
    ]
    return f"paths are not low in loss, highest over the higher end's: {', '.join(high)}" if high else ""


@claim(
    "B3",
    source=f"{PAPER}, Fig. 2",
    statement="Curvature is higher inside than at the ends",
    metric="curvature, middle over ends",
    figure="path_groups",
    threshold="rise",
)
def b3(path_losses, path_curvature, path_eigenvalues, path_groups, *, rise, comparable, middle) -> Evidence:
    """A (optimiser, measure of curvature) holds if the middle of AutoNEB's paths has more than `rise` times.

    Testable where the path's loss is near that of its ends (`comparable`). The control takes out what the
    norms of scale-invariant groups alone make, and gives the loss, which curvature follows.
    """
    cells, notes = [], []
    for v in variants_of(path_losses):
        by_name = rises(path_curvature, path_eigenvalues, path_groups, middle, variant=v)
        cells += [ratio_cell(f"{VARIANTS[v]}, {name}", values, rise) for name, values in by_name.items()]
        raw, scaled = by_name["Tr H"], by_name[SCALE_FREE]
        loss = middle_over_ends(rows_of(path_curvature, variant=v), "train_loss", middle)
        notes.append(
            f"{VARIANTS[v]}: Tr H {quoted(raw, log=True)}, of which scale makes a factor of "
            f"{quoted(raw / scaled, log=True)}; training loss {quoted(loss, log=True)}"
        )
    control = f"middle over ends, both relaxed alike; {'; '.join(notes)}"
    return Evidence(cells, control, untestable=too_high(path_losses, comparable))


@claim(
    "B3x",
    source=OURS,
    statement="…for every path finder",
    metric="curvature, middle over ends",
    figure="path_profile",
    threshold="rise",
)
def b3x(path_losses, path_curvature, path_eigenvalues, path_groups, *, rise, comparable, middle) -> Evidence:
    """As B3 for Tr H and λ_max, a cell a finder whose paths are as low as their ends (`comparable`).

    One such finder tests nothing. Paths that run high in loss are shown: their curvature follows the loss.
    """

    def rise_of(kind: str) -> dict[str, pd.Series]:
        return rises(path_curvature, path_eigenvalues, path_groups, middle, kind)

    finders = [kind for kind in FINDERS if kind != "straight"]
    found = [kind for kind in finders if low_in_loss(path_losses, comparable, kind)]
    judged = found or ["autoneb"]
    cells = [
        ratio_cell(f"{FINDERS[kind]}, {name}", rise_of(kind)[name], rise)
        for kind in judged
        for name in ("Tr H", "λ_max")
    ]
    shown = [
        f"{FINDERS[kind]}, high in loss ({quoted(barrier(rows_of(path_losses, kind)), log=True)} times the "
        f"higher end's): Tr H {quoted(rise_of(kind)['Tr H'], log=True)}"
        for kind in kinds_of(path_curvature)
        if kind not in judged
    ]
    few = f"{len(found)} path finder of {len(finders)} came near the loss of the ends"
    return Evidence(
        cells,
        f"shown, not judged: {'; '.join(shown) or 'none'}",
        untestable="" if len(found) > 1 else few,
    )


# ---------------------------------------------------------------- B4, B6, B9: SGD beside the path


def moves(projected_sgd: pd.DataFrame, run: str, inside: Window) -> pd.DataFrame:
    """Outward displacement at the run's last step, replicas averaged: pair, start, outward; from inside."""
    rows = directed(projected_sgd[projected_sgd["run"] == run], inside)
    return by_start(rows[rows["step"] == rows["step"].max()], ["outward"])


def excess(projected_sgd: pd.DataFrame, control: str, inside: Window) -> pd.Series:
    """Outward displacement of SGD with momentum beyond a control's, at their last common step, by pair."""
    rows = directed(projected_sgd[projected_sgd["run"].isin(["momentum", control])], inside)
    means = by_start(rows, ["outward"])
    beyond = beyond_control(means[means["step"] == last_common_step(means)], control)
    return beyond.groupby("pair")["excess"].mean()


def upward(moved: pd.DataFrame, path_losses: pd.DataFrame, along: float) -> pd.DataFrame:
    """Those of the moves whose path rises in loss on the way outward."""
    side = np.sign(moved["start"] - 0.5)
    here, beyond = (
        path_loss(path_losses, moved["pair"], moved["start"] + shift) for shift in (0, along * side)
    )
    return moved[beyond > here]


@claim(
    "B4",
    source=f"{PAPER}, Fig. 3",
    statement="Projected SGD drifts to an end, also uphill",
    metric="outward displacement over the path's length",
    figure="projected_sgd",
    threshold="outward",
)
def b4(projected_sgd, path_losses, *, outward, inside, off_floor, late, along) -> Evidence:
    """A start holds if replicas move outward by more than `outward`; other cells take from all starts what
    full-batch descent or mere noise does, or keep replicas on the floor, or starts where outward is uphill.

    Controls: full-batch descent and noise without a force, which must not move; replicas off the floor.
    """
    moved = moves(projected_sgd, "momentum", inside)
    pairs = sorted(moved["pair"].unique())
    changes = final_changes(
        projected_sgd, path_losses, "momentum", inside=inside, off_floor=off_floor, late=late
    )
    floor, climbing = (
        part.groupby("pair")["outward"].mean().reindex(pairs)
        for part in (changes[changes["on_floor"]], upward(moved, path_losses, along))
    )
    readings = {
        "all starts": moved.groupby("pair")["outward"].mean(),
        "beyond descent": excess(projected_sgd, "descent", inside),
        "beyond noise without a force": excess(projected_sgd, "noise", inside),
        "replicas on the valley floor": floor,
        "where the path's loss rises outward": climbing,
        **{f"start {start:g}": part.set_index("pair")["outward"] for start, part in moved.groupby("start")},
    }
    cells = [Cell(name, values.to_numpy(), outward, "above") for name, values in readings.items()]
    null, descent = (
        quoted(moves(projected_sgd, run, inside).groupby("pair")["outward"].mean())
        for run in ("noise", "descent")
    )
    loss_change = changes.groupby("pair")["loss_change"].mean()
    return Evidence(
        cells,
        f"{(~changes['on_floor']).sum()} of {len(changes)} replicas end off the valley floor (minibatch loss "
        f"above {off_floor:g} times the path's); noise without a force moves {null}, full batch {descent}; "
        f"replicas that end outward and higher in the path's loss: share {quoted(uphill(changes))}; the "
        f"path's loss at their place changes by {quoted(loss_change)} nats",
    )


# ---------------------------------------------------------------- B5: how the drift scales


@claim(
    "B5",
    source=f"{PAPER}, Fig. 3",
    statement="Smaller B and larger η speed it up",
    metric="exponent of the drift velocity in 1/B, in η",
    figure="drift_sweeps",
    threshold="exponent",
)
def b5(drift_exponents, drift_velocities, *, exponent) -> Evidence:
    """Each of 1/B and η holds if the velocity grows faster than its power `exponent`.

    The velocity is that beyond full-batch descent; the control gives descent's own, and the exponents that
    theory has without a free parameter.
    """
    table = drift_exponents.set_index("variable")
    faster = {"smaller B": ("batch", -1), "larger η": ("learning_rate", 1)}
    cells = [
        Cell(name, sign * table.loc[variable, "exponent"].to_numpy(), exponent, "above")
        for name, (variable, sign) in faster.items()
    ]
    notes = [
        f"{name} {quoted(table.loc[v, 'exponent'])} (theory without a free parameter "
        f"{quoted(table.loc[v, 'predicted'])}, η²(m − 1)/B {table.loc[v, 'formula'].mean():.2g})"
        for v, name in {"batch": "B", "learning_rate": "η", "steps": "m"}.items()
    ]
    base = drift_velocities[(drift_velocities[SETTING] == base_setting(drift_velocities)).all(axis=1)]
    return Evidence(
        cells,
        f"exponents of the drift velocity: {', '.join(notes)}; full-batch descent at the same places moves "
        f"{quoted(base['descent'])} per t_eff, noise adds {quoted(base['velocity'])}",
    )


# ---------------------------------------------------------------- B6: optimisers


@claim(
    "B6",
    source=f"{PAPER}, Fig. 3",
    statement="Momentum and Adam are faster",
    metric="speed over the fair partner's",
    figure="optimisers",
    threshold="faster",
)
def b6(projected_sgd, path_losses, *, faster, inside, off_floor, kept, late, reach) -> Evidence:
    """An optimiser holds if it moves outward more than `faster` times as fast as its fair partner.

    At equal η momentum has a rate ten times higher: the control. A pair in which a run did not move outward,
    or left the valley floor, has no speed.
    """
    windows = {"inside": inside, "off_floor": off_floor, "late": late}

    def speeds(over: str, under: str) -> pd.Series:
        return speed_ratio(projected_sgd, path_losses, over, under, reach=reach, kept=kept, **windows)[0]

    def stayed(run: str) -> float:
        return final_changes(projected_sgd, path_losses, run, **windows)["on_floor"].mean()

    both = projected_sgd[projected_sgd["run"].isin(["adam", "matched"])]
    steps = step_sizes(both).pivot(index="pair", columns="run", values="whole")

    def loss(run: str) -> str:
        return quoted(late_loss(projected_sgd, run, inside=inside, late=late), 2, log=True)

    runs = dict.fromkeys(sum(FAIR.values(), ()))
    losses = ", ".join(f"{run} {loss(run)} ({stayed(run):.0%})" for run in runs)
    return Evidence(
        [ratio_cell(name, speeds(*runs), faster) for name, runs in FAIR.items()],
        f"at equal η, a rate ten times higher, momentum over plain SGD: "
        f"{quoted(speeds('momentum', 'sgd'), log=True)}; RMS step of Adam's partner over Adam's "
        f"{quoted(steps['matched'] / steps['adam'], log=True)}; minibatch loss late in the run (share of "
        f"replicas on the valley floor at the end) {losses}",
    )


# ---------------------------------------------------------------- B7: barriers between children


@claim(
    "B7",
    source=f"{PAPER}, Fig. 4",
    statement="The loss barrier vanishes before the curvature barrier",
    metric="branch steps by which Tr H lags, over the last branch",
    figure="branching",
    threshold="lag",
)
def b7(children, children_curvature, *, lag, vanished, tolerances) -> Evidence:
    """A normalisation holds if Tr H's barrier falls below the share `vanished` later than the loss's, by more
    than `lag`. A barrier that has not vanished by the last branch bounds the lag.

    The control sweeps the tolerance: the order must not depend on it. Where neither barrier vanishes there is
    no order.
    """
    barriers = line_barriers(children, children_curvature)

    def cell(measure: str, tolerance: float) -> Cell:
        values = lags(barriers, tolerance, measure, lag).to_numpy()
        return Cell(f"over {MEASURES[measure]}", values, lag, "above")

    notes = [
        f"over {words}: {tally([cell(measure, tolerance) for tolerance in tolerances])}"
        for measure, words in MEASURES.items()
    ]
    times = ["loss_time", "curvature_time"]
    neither = {
        words: vanishing_times(barriers, [vanished], measure)[times].isna().all(axis=1)
        for measure, words in MEASURES.items()
    }
    end = barriers[barriers["branch"] == barriers["branch"].max()]
    left = end["curvature_barrier"] / end["curvature_se"]
    return Evidence(
        [cell(measure, vanished) for measure in MEASURES],
        f"of {len(tolerances)} tolerances from {tolerances[0]:g} to {tolerances[-1]:g}, barriers "
        f"{'; '.join(notes)}; at the last branch the barrier of Tr H is {quoted(left)} of its standard "
        "errors",
        untestable="; ".join(
            f"over {words} neither barrier vanishes in {missing.sum()} of {len(missing)} parents"
            for words, missing in neither.items()
            if missing.any()
        ),
    )


# ---------------------------------------------------------------- B8: predicted drift


@claim(
    "B8",
    source=OURS,
    statement="The drift is that predicted from H and Σ_B, with no free parameter",
    metric="slope of measured on predicted, less 1",
    figure="path_drift",
    threshold="slope",
)
def b8(drift_slopes, *, slope) -> Evidence:
    """A learning rate holds if the errors-in-variables slope over the path is 1 within `slope`.

    The control takes the covariance C seen in the same simulation instead of the predicted one: it tests the
    Taylor step alone, so a slope of 1 there and not here blames C.
    """
    setting = base_setting(drift_slopes)
    at_base = drift_slopes[(drift_slopes[["batch", "steps"]] == setting[["batch", "steps"]]).all(axis=1)]
    cells, notes = [], []
    for rate, part in at_base.groupby("learning_rate"):
        by = dict(list(part.groupby("predictor")))
        linear, followed = by["linear"], by["followed"]
        cells.append(Cell(f"η = {rate:g}", linear["slope"].to_numpy() - 1, slope, "within"))
        notes.append(
            f"η = {rate:g}: slope {quoted(linear['slope'])}, χ²/dof {quoted(linear['chi2_dof'], 2)}, "
            f"with C seen in the same simulation {quoted(followed['slope'])}"
        )
    return Evidence(cells, "; ".join(notes))


# ---------------------------------------------------------------- B9: without projection


@claim(
    "B9",
    source=OURS,
    statement="Without projection SGD drifts to an end as well",
    metric="outward displacement of the nearest point",
    figure="unprojected",
    threshold="outward",
)
def b9(projected_sgd, path_losses, *, outward, inside, late) -> Evidence:
    """Holds if the path's point nearest to free SGD moves outward by more than `outward`.

    Controls: the same with projection; how far SGD is from the path and whether it still recedes, in which
    case "nearest" says little; its loss.
    """
    both = courses(projected_sgd, path_losses, inside)
    last = both[both["step"] == both["step"].max()].set_index("pair")
    free, held = last[last["run"] == "free"], last[last["run"] == "momentum"]
    losses = late_losses(both, late)["loss"]
    return Evidence(
        [Cell("nearest point of the path", free["outward"].to_numpy(), outward, "above")],
        f"with projection {quoted(held['outward'])}; distance from the path "
        f"{quoted(free['distance'], log=True)} at the end, {quoted(recession(both), log=True)} "
        f"times that at half the time (just before a projection {quoted(held['distance'], log=True)}); "
        f"minibatch loss late in the run {quoted(losses['free'], log=True)} against "
        f"{quoted(losses['momentum'], log=True)}",
    )


# ---------------------------------------------------------------- B10, B11: averages and basins


@claim(
    "B10",
    source=OURS,
    statement="Interiors and averages are better on held-out data than what they join",
    metric="gain in accuracy, in temperature-scaled loss (nats)",
    figure="averages",
    threshold="accuracy_gain loss_gain",
)
def b10(averages, *, accuracy_gain, loss_gain) -> Evidence:
    """An average holds twice: in accuracy by more than `accuracy_gain`, in scaled loss by `loss_gain` nats.

    The control is the raw loss: an interpolating model's measures overconfidence, which any averaging cures.
    """
    gaps = differences(averages)
    gaps["branch"] = gaps["branch"].where(gaps["source"] == "children", -1)
    last = gaps["branch"].max()
    chosen = {
        "path interior": gaps[gaps["source"] == "path"],
        f"middle of children of step {last:g}": gaps[gaps["branch"] == last],
        "average along SGD": gaps[gaps["source"] == "swa"],
    }
    cells, raw = [], []
    for name, part in chosen.items():
        means = part.groupby("repeat")[["accuracy", "scaled_loss", "held_out_loss"]].mean()
        cells += [
            Cell(f"{name}, accuracy", means["accuracy"].to_numpy(), accuracy_gain, "above"),
            Cell(f"{name}, scaled loss", -means["scaled_loss"].to_numpy(), loss_gain, "above"),
        ]
        raw.append(f"{name} {quoted(means['held_out_loss'])}")
    return Evidence(cells, f"raw held-out loss, which measures overconfidence, changes by: {'; '.join(raw)}")


@claim(
    "B11",
    source=OURS,
    statement="One run stays in one convex basin",
    metric="loss on the line from checkpoint to end over its chord, highest",
    figure="branching",
    threshold="basin",
)
def b11(children, *, basin) -> Evidence:
    """A checkpoint holds if on the line from it to the end of its run the loss stays up to `basin` times the
    chord: 1 is convex.

    The control is a line between two runs from one start, which must bulge; beside it the rise over the
    higher end.
    """
    table, highest = bulges(children), line_rises(children)
    cells = [
        ratio_cell(f"from step {branch:g}", part["ratio"], basin, "below")
        for branch, part in table[table["line"] == "checkpoint"].groupby("branch")
    ]
    between = table[(table["line"] == "children") & (table["branch"] == table["branch"].min())]
    own = highest[highest["line"] == "checkpoint"]["ratio"].max()
    return Evidence(
        cells,
        f"on the line between two runs from one start: {quoted(between['ratio'], log=True)}; the loss on a "
        f"run's own lines is at most {own:.3g} times the higher end's",
    )


# ---------------------------------------------------------------- C1: the two papers together


@claim(
    "C1",
    source="both papers",
    statement="Δ₂^(D) rises along the path where the entropic barrier is",
    metric="Var δ, middle over ends",
    figure="path_criteria",
    threshold="rise",
)
def c1(
    path_criteria,
    path_losses,
    path_curvature,
    path_eigenvalues,
    path_groups,
    *,
    rise,
    comparable,
    middle,
) -> Evidence:
    """A σ holds if Var δ, what the largest D adds to a², is more than `rise` times that at the ends.

    Testable where B3 is and Tr H rises. Controls: a², which follows the loss, and the part of Tr H's rise
    that scale makes: σ is absolute, so it enters Var δ too.
    """
    rows = rows_of(path_criteria)
    wide = rows[rows["dim"] == rows["dim"].max()]
    by_sigma = dict(list(wide.groupby("sigma")))
    cells = [
        ratio_cell(
            f"D = {wide['dim'].max()}, σ = {sigma:g}", middle_over_ends(part, "variance", middle), rise
        )
        for sigma, part in by_sigma.items()
    ]
    value = middle_over_ends(next(iter(by_sigma.values())), "value", middle)
    by_name = rises(path_curvature, path_eigenvalues, path_groups, middle)
    trace = by_name["Tr H"]
    seen = ratio_cell("Tr H", trace, rise).verdict == REPRODUCED
    flat = f"no barrier to see: Tr H in the middle is {quoted(trace, log=True)} of that at the ends"
    return Evidence(
        cells,
        f"a² {quoted(value, log=True)}; Tr H {quoted(trace, log=True)}, of which scale makes a factor of "
        f"{quoted(trace / by_name[SCALE_FREE], log=True)}: σ is absolute, so it enters Var δ too",
        untestable=too_high(path_losses, comparable) or ("" if seen else flat),
    )
