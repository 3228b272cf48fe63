"""Paper B's claims, and the one of both papers together: how each is read off its tables.

Pairs of minima, or parents of children, are the independent repeats.
"""

import numpy as np
import pandas as pd

from valleyscope.claims.verdicts import Cell, Claim, Tables, log_interval, tally, text
from valleyscope.connectivity.valley import COEFFICIENT, NOISES
from valleyscope.readings.averages import differences
from valleyscope.readings.branching import MEASURES, TOLERANCES, bulges, line_barriers, rises, vanishing_times
from valleyscope.readings.drift import SETTING, base_setting
from valleyscope.readings.paths import barrier, middle_over_ends
from valleyscope.readings.sgd import (
    OFF_FLOOR,
    beyond_control,
    by_start,
    courses,
    directed,
    final_changes,
    last_common_step,
    path_loss,
    speed_ratio,
    uphill,
)

SCALE_FREE = "Σ ‖W_g‖² Tr H_g"
LOSSES_OF = ("momentum", "slow", "nesterov", "adam", "matched")
ALONG = 0.1  # of the path: how far outward its loss is compared with that of a start
VARIANTS = {"adamw": "AdamW", "sgd": "SGD"}
KINDS = {"bezier": "Bézier", "polygon": "polygon", "autoneb": "AutoNEB"}


def _of(table: pd.DataFrame, kind: str, variant: str = "adamw") -> pd.DataFrame:
    return table[(table["kind"] == kind) & (table["variant"] == variant)]


def _variants(t: Tables) -> list[str]:
    return [v for v in VARIANTS if len(_of(t["path_losses"], "autoneb", v))]


# ---------------------------------------------------------------- B1: the toy valley


def _b1(t: Tables, limits: dict):
    fits = t["valley_fits"]
    fits = fits.assign(own=fits["law"] == fits["noise"].map(NOISES))
    fine = fits[fits["step_size"] == fits["step_size"].min()]
    right, wrong = fine[fine["own"]], fine[~fine["own"]]
    keys = ["noise", "quantity"]
    cells = [
        Cell(
            f"{noise} noise, {quantity}",
            part["coefficient"].to_numpy() / COEFFICIENT - 1,
            limits["coefficient"],
            "within",
        )
        for (noise, quantity), part in right.groupby(keys)
    ]
    steps = fits[fits["own"]].pivot(index=[*keys, "seed"], columns="step_size", values="coefficient")
    halved = (steps.max(axis=1) - steps.min(axis=1)).groupby(keys).mean().max()
    log = right[right["noise"] == "isotropic"].groupby("quantity")["coefficient"]
    fit, other = (part.groupby(keys)["chi2_dof"].mean() for part in (right, wrong))
    published = ", ".join(f"{text(values)} ({quantity})" for quantity, values in log)
    return cells, (
        f"c of T ln g, written as 1 in the paper: {published}; halving the step changes c by at most "
        f"{halved:.2g}; χ² over degrees of freedom at most {fit.max():.2g} for the noise's own law, at "
        f"least {other.min():.2g} for the other"
    )


# ---------------------------------------------------------------- B2, B3: paths


def _b2(t: Tables, limits: dict):
    losses = t["path_losses"]
    cells = [
        Cell(
            f"AutoNEB, {VARIANTS[v]}",
            barrier(_of(losses, "autoneb", v)).to_numpy(),
            limits["low_loss"],
            "below",
            log=True,
        )
        for v in _variants(t)
    ]
    others = [
        f"{name} {text(barrier(_of(losses, kind)), log=True)}"
        for kind, name in {"straight": "straight line", **KINDS}.items()
        if kind != "autoneb" and len(_of(losses, kind))
    ]
    highest = max(cell.values.max() for cell in cells)
    return cells, f"AdamW, {'; '.join(others)}; highest of any pair by AutoNEB {highest:.3g}"


def scaled_trace(groups: pd.DataFrame) -> pd.DataFrame:
    """Σ_g ‖W_g‖² Tr H_g by pair and position: what a scale-invariant layer's norm cannot change."""
    scaled = groups.assign(scaled=groups["norm"] ** 2 * groups["trace"])
    return scaled.groupby(["pair", "position"], as_index=False)["scaled"].sum()


def _rises(t: Tables, variant: str, kind: str = "autoneb") -> dict[str, pd.Series]:
    """Middle over ends, by pair, of every measure of curvature."""
    curvature = _of(t["path_curvature"], kind, variant)
    leading = _of(t["path_eigenvalues"], kind, variant)
    top = leading.groupby(["pair", "position"], as_index=False)["eigenvalue"].sum()
    return {
        "Tr H": middle_over_ends(curvature, "trace"),
        "λ_max": middle_over_ends(curvature, "lambda_max"),
        f"sum of the {leading['rank'].max()} largest eigenvalues": middle_over_ends(top, "eigenvalue"),
        SCALE_FREE: middle_over_ends(scaled_trace(_of(t["path_groups"], kind, variant)), "scaled"),
    }


def _b3(t: Tables, limits: dict):
    rises_of = {v: _rises(t, v) for v in _variants(t)}
    cells = [
        Cell(f"{VARIANTS[v]}, {name}", values.to_numpy(), limits["rise"], "above", log=True)
        for v, by_name in rises_of.items()
        for name, values in by_name.items()
    ]
    notes = []
    for v, by_name in rises_of.items():
        raw, scaled = (by_name[name] for name in ("Tr H", SCALE_FREE))
        loss = middle_over_ends(_of(t["path_curvature"], "autoneb", v), "train_loss")
        notes.append(
            f"{VARIANTS[v]}: Tr H {text(raw, log=True)}, of which scale makes a factor of "
            f"{text(raw / scaled, log=True)}; training loss {text(loss, log=True)}"
        )
    return cells, f"middle over ends, both relaxed alike; {'; '.join(notes)}"


def _comparable(t: Tables, limits: dict, kind: str, variant: str = "adamw") -> bool:
    """Whether paths of a finder are about as low in loss as their ends."""
    return bool(log_interval(barrier(_of(t["path_losses"], kind, variant)))[0] <= limits["comparable"])


def _loss_matched(t: Tables, limits: dict) -> str | None:
    """Why curvature inside and at the ends cannot be compared, if so."""
    high = [
        f"{VARIANTS[v]} {text(barrier(_of(t['path_losses'], 'autoneb', v)), log=True)}"
        for v in _variants(t)
        if not _comparable(t, limits, "autoneb", v)
    ]
    return f"paths are not low in loss, highest over the higher end's: {', '.join(high)}" if high else None


def _found_kinds(t: Tables, limits: dict) -> list[str]:
    """Path finders whose paths can be compared with their ends."""
    return [k for k in KINDS if len(_of(t["path_losses"], k)) and _comparable(t, limits, k)]


def _b3x(t: Tables, limits: dict):
    kinds = _found_kinds(t, limits) or ["autoneb"]
    cells = [
        Cell(f"{KINDS[kind]}, {name}", values.to_numpy(), limits["rise"], "above", log=True)
        for kind in kinds
        for name, values in _rises(t, "adamw", kind).items()
        if name in ("Tr H", "λ_max")
    ]
    shown = [k for k in ("straight", *KINDS) if k not in kinds and len(_of(t["path_curvature"], k))]
    notes = [
        f"{k}, high in loss ({text(barrier(_of(t['path_losses'], k)), log=True)} times the higher end's): "
        f"Tr H {text(_rises(t, 'adamw', k)['Tr H'], log=True)}"
        for k in shown
    ]
    return cells, f"shown, not judged: {'; '.join(notes) or 'none'}"


def _two_finders(t: Tables, limits: dict) -> str | None:
    kinds = _found_kinds(t, limits)
    return (
        None if len(kinds) > 1 else f"{len(kinds)} path finder of {len(KINDS)} came near the loss of the ends"
    )


# ---------------------------------------------------------------- B4, B6, B9: SGD beside the path


def _moves(t: Tables, run: str) -> pd.DataFrame:
    """Outward displacement at the run's last step, replicas averaged: pair, start, outward; from inside."""
    table = directed(t["projected_sgd"])
    table = table[table["run"] == run]
    return by_start(table[table["step"] == table["step"].max()], ["outward"])


def _excess(t: Tables, control: str) -> pd.Series:
    """Outward displacement of SGD with momentum beyond a control's, at their last common step, by pair."""
    table = directed(t["projected_sgd"])
    means = by_start(table[table["run"].isin(["momentum", control])], ["outward"])
    return (
        beyond_control(means[means["step"] == last_common_step(means)], control)
        .groupby("pair")["excess"]
        .mean()
    )


def _upward(t: Tables, moves: pd.DataFrame) -> pd.DataFrame:
    """Those of the moves whose path rises in loss on the way outward."""
    side = np.sign(moves["start"] - 0.5)
    here, beyond = (
        path_loss(t["path_losses"], moves["pair"], moves["start"] + shift) for shift in (0, ALONG * side)
    )
    return moves[beyond > here]


def _b4(t: Tables, limits: dict):
    moves = _moves(t, "momentum")
    pairs = sorted(moves["pair"].unique())
    climbing = _upward(t, moves).groupby("pair")["outward"].mean().reindex(pairs)
    changes = final_changes(t["projected_sgd"], t["path_losses"], "momentum")
    floor = changes[changes["on_floor"]]
    readings = {
        "all starts": moves.groupby("pair")["outward"].mean(),
        "beyond descent": _excess(t, "descent"),
        "beyond noise without a force": _excess(t, "noise"),
        "replicas on the valley floor": floor.groupby("pair")["outward"].mean().reindex(pairs),
        "where the path's loss rises outward": climbing,
        **{f"start {start:g}": part.set_index("pair")["outward"] for start, part in moves.groupby("start")},
    }
    cells = [Cell(name, values.to_numpy(), limits["outward"], "above") for name, values in readings.items()]
    null, descent = (_moves(t, run).groupby("pair")["outward"].mean() for run in ("noise", "descent"))
    return cells, (
        f"{(~changes['on_floor']).sum()} of {len(changes)} replicas end off the valley floor (minibatch loss "
        f"above {OFF_FLOOR:g} times the path's); noise without a force moves {text(null)}, full batch "
        f"{text(descent)}; replicas that end outward and higher in the path's loss: share "
        f"{text(uphill(changes))}; the path's loss at their place changes by "
        f"{text(changes.groupby('pair')['loss_change'].mean())} nats"
    )


def _speeds(t: Tables, over: str, under: str) -> pd.Series:
    return speed_ratio(t["projected_sgd"], t["path_losses"], over, under)[0]


def _steps(t: Tables, run: str) -> pd.Series:
    """Root mean square length of a step over the run, by pair."""
    table = t["projected_sgd"]
    return (table[table["run"] == run].groupby("pair")["step_size"].apply(lambda s: (s**2).mean())) ** 0.5


def _late_loss(t: Tables, run: str) -> pd.Series:
    """Mean minibatch loss over the second half of the run, by pair, nats."""
    table = t["projected_sgd"]
    table = table[table["run"] == run]
    return table[table["step"] > table["step"].max() / 2].groupby("pair")["loss"].mean()


def _floor(t: Tables, run: str) -> float:
    return final_changes(t["projected_sgd"], t["path_losses"], run)["on_floor"].mean()


def _b6(t: Tables, limits: dict):
    fair = {
        "momentum over plain SGD at η/(1−β)": ("momentum", "slow"),
        "Nesterov over plain SGD at η/(1−β)": ("nesterov", "slow"),
        "Adam over plain SGD of equal RMS step": ("adam", "matched"),
    }
    cells = [
        Cell(name, _speeds(t, *runs).to_numpy(), limits["faster"], "above", log=True)
        for name, runs in fair.items()
    ]
    losses = ", ".join(
        f"{run} {text(_late_loss(t, run), 2, log=True)} ({_floor(t, run):.0%})" for run in LOSSES_OF
    )
    return cells, (
        f"at equal η, a rate ten times higher, momentum over plain SGD: "
        f"{text(_speeds(t, 'momentum', 'sgd'), log=True)}; RMS step of Adam's partner over Adam's "
        f"{text(_steps(t, 'matched') / _steps(t, 'adam'), log=True)}; minibatch loss (share of replicas "
        f"on the valley floor at the end) {losses}"
    )


def _b9(t: Tables, limits: dict):
    both = courses(t["projected_sgd"], t["path_losses"])
    last = both[both["step"] == both["step"].max()].set_index("pair")
    free, held = last[last["run"] == "free"], last[last["run"] == "momentum"]
    half = both[(both["run"] == "free") & (both["step"] <= both["step"].max() / 2)]
    early = half[half["step"] == half["step"].max()].set_index("pair")["distance"]
    cells = [Cell("nearest point of the path", free["outward"].to_numpy(), limits["outward"], "above")]
    return cells, (
        f"with projection {text(held['outward'])}; distance from the path {text(free['distance'], log=True)} "
        f"at the end, {text(free['distance'] / early, log=True)} times that at half the time (just before a "
        f"projection {text(held['distance'], log=True)}); minibatch loss {text(free['loss'], log=True)} "
        f"against {text(held['loss'], log=True)}"
    )


# ---------------------------------------------------------------- B5, B8: drift


def _b5(t: Tables, limits: dict):
    table = t["drift_exponents"].set_index("variable")
    faster = {"smaller B": ("batch", -1), "larger η": ("learning_rate", 1)}
    cells = [
        Cell(name, sign * table.loc[variable, "exponent"].to_numpy(), limits["exponent"], "above")
        for name, (variable, sign) in faster.items()
    ]
    notes = [
        f"{name} {text(table.loc[v, 'exponent'])} (theory without a free parameter "
        f"{text(table.loc[v, 'predicted'])}, η²(m − 1)/B {table.loc[v, 'formula'].mean():.2g})"
        for v, name in {"batch": "B", "learning_rate": "η", "steps": "m"}.items()
    ]
    speeds = t["drift_velocities"]
    base = speeds[(speeds[SETTING] == base_setting(speeds)).all(axis=1)]
    return cells, (
        f"exponents of the drift velocity: {', '.join(notes)}; full-batch descent at the same places moves "
        f"{text(base['descent'])} per t_eff, noise adds {text(base['velocity'])}"
    )


def _b8(t: Tables, limits: dict):
    slopes = t["drift_slopes"]
    setting = base_setting(slopes)
    at_base = slopes[(slopes[["batch", "steps"]] == setting[["batch", "steps"]]).all(axis=1)]
    cells, notes = [], []
    for rate, part in at_base.groupby("learning_rate"):
        by = dict(list(part.groupby("predictor")))
        deviation = by["linear"]["slope"].to_numpy() - 1
        cells.append(Cell(f"η = {rate:g}", deviation, limits["slope"], "within"))
        notes.append(
            f"η = {rate:g}: slope {text(by['linear']['slope'])}, χ²/dof {text(by['linear']['chi2_dof'], 2)}, "
            f"with C seen in the same simulation {text(by['followed']['slope'])}"
        )
    return cells, "; ".join(notes)


# ---------------------------------------------------------------- B7, B10, B11: children and averages


def _b7(t: Tables, limits: dict):
    barriers = line_barriers(t["children"], t["children_curvature"])
    last = barriers["branch"].max()

    def cell(measure: str, tolerance: float) -> Cell:
        """Branch steps by which Tr H lags behind, over the last; a time not reached counts as the last."""
        times = vanishing_times(barriers, [tolerance], measure)[["loss_time", "curvature_time"]]
        lag = times["curvature_time"].fillna(last) - times["loss_time"].fillna(last)
        # A time beyond the last branch bounds the lag; a bound short of the threshold tells nothing.
        lag = (lag / last).where(times.notna().all(axis=1) | (lag < 0) | (lag / last > limits["lag"]))
        return Cell(f"over {MEASURES[measure]}", lag.to_numpy(), limits["lag"], "above")

    notes = [
        f"over {words}: {tally([cell(measure, tolerance) for tolerance in TOLERANCES], limits['widest'])}"
        for measure, words in MEASURES.items()
    ]
    end = barriers[barriers["branch"] == last]
    left = end["curvature_barrier"] / end["curvature_se"]
    return [cell(measure, limits["vanished"]) for measure in MEASURES], (
        f"of {len(TOLERANCES)} tolerances from {TOLERANCES[0]:g} to {TOLERANCES[-1]:g}, barriers "
        f"{'; '.join(notes)}; at the last branch the barrier of Tr H is {text(left)} of its standard errors"
    )


def _both_vanish(t: Tables, limits: dict) -> str | None:
    barriers = line_barriers(t["children"], t["children_curvature"])
    for measure, words in MEASURES.items():
        times = vanishing_times(barriers, [limits["vanished"]], measure)[["loss_time", "curvature_time"]]
        missing = int((~times.notna().any(axis=1)).sum())
        if missing:
            return f"over {words} neither barrier vanishes in {missing} of {len(times)} parents"
    return None


def _b10(t: Tables, limits: dict):
    gaps = differences(t["averages"])
    gaps["branch"] = gaps["branch"].where(gaps["source"] == "children", -1)
    last = gaps["branch"].max()
    averages = {
        "path interior": gaps[gaps["source"] == "path"],
        f"middle of children of step {last:g}": gaps[gaps["branch"] == last],
        "average along SGD": gaps[gaps["source"] == "swa"],
    }
    cells, raw = [], []
    for name, part in averages.items():
        means = part.groupby("repeat")[["accuracy", "scaled_loss", "held_out_loss", "trace"]].mean()
        cells.append(
            Cell(f"{name}, accuracy", means["accuracy"].to_numpy(), limits["accuracy_gain"], "above")
        )
        cells.append(
            Cell(f"{name}, scaled loss", -means["scaled_loss"].to_numpy(), limits["loss_gain"], "above")
        )
        raw.append(f"{name} {text(means['held_out_loss'])}")
    return cells, f"raw held-out loss, which measures overconfidence, changes by: {'; '.join(raw)}"


def _b11(t: Tables, limits: dict):
    table, highest = bulges(t["children"]), rises(t["children"])
    runs = table[table["line"] == "checkpoint"]
    cells = [
        Cell(f"from step {branch:g}", part["ratio"].to_numpy(), limits["basin"], "below", log=True)
        for branch, part in runs.groupby("branch")
    ]
    first = table["branch"].min()
    children = table[(table["line"] == "children") & (table["branch"] == first)]
    own = highest[highest["line"] == "checkpoint"]["ratio"].max()
    return cells, (
        f"on the line between two runs from one start: {text(children['ratio'], log=True)}; the loss on a "
        f"run's own lines is at most {own:.3g} times the higher end's"
    )


# ---------------------------------------------------------------- C1: the two papers together


def _c1(t: Tables, limits: dict):
    criteria = t["path_criteria"]
    wide = criteria[criteria["dim"] == criteria["dim"].max()]
    by_sigma = dict(list(wide.groupby("sigma")))
    cells = [
        Cell(
            f"D = {wide['dim'].max()}, σ = {sigma:g}",
            middle_over_ends(part, "variance").to_numpy(),
            limits["rise"],
            "above",
            log=True,
        )
        for sigma, part in by_sigma.items()
    ]
    value = middle_over_ends(next(iter(by_sigma.values())), "value")
    trace = _rises(t, "adamw")["Tr H"]
    scaled = _rises(t, "adamw")[SCALE_FREE]
    return cells, (
        f"a² {text(value, log=True)}; Tr H {text(trace, log=True)}, of which scale makes a factor of "
        f"{text(trace / scaled, log=True)}: σ is absolute, so it enters Var δ too"
    )


def _there_is_a_barrier(t: Tables, limits: dict) -> str | None:
    reason = _loss_matched(t, limits)
    rise = _rises(t, "adamw")["Tr H"]
    if reason is None and not log_interval(rise)[1] > limits["rise"]:
        return f"no barrier to see: Tr H in the middle is {text(rise, log=True)} of that at the ends"
    return reason


PAPER = "Di Carlo et al. 2026"
OURS = "open question"
CLAIMS = [
    Claim(
        "B1",
        f"{PAPER}, Fig. 1B",
        "Noise in a flat valley acts as a potential: (T/2) ln g, and (T/2) g/g₀ if its variance goes as g",
        "c of c T ln g or c T g/g₀, over 1/2, less 1",
        "valley",
        _b1,
    ),
    Claim(
        "B2",
        f"{PAPER}, Fig. 2",
        "Independent minima are joined by a low-loss path",
        "highest loss on the path over the higher end's",
        "path_profile",
        _b2,
    ),
    Claim(
        "B3",
        f"{PAPER}, Fig. 2",
        "Curvature is higher inside than at the ends",
        "curvature, middle over ends",
        "path_groups",
        _b3,
        _loss_matched,
    ),
    Claim(
        "B3x",
        OURS,
        "…for every path finder",
        "curvature, middle over ends",
        "path_profile",
        _b3x,
        _two_finders,
    ),
    Claim(
        "B4",
        f"{PAPER}, Fig. 3",
        "Projected SGD drifts to an end, also uphill",
        "outward displacement over the path's length",
        "projected_sgd",
        _b4,
    ),
    Claim(
        "B5",
        f"{PAPER}, Fig. 3",
        "Smaller B and larger η speed it up",
        "exponent of the drift velocity in 1/B, in η",
        "drift_sweeps",
        _b5,
    ),
    Claim(
        "B6",
        f"{PAPER}, Fig. 3",
        "Momentum and Adam are faster",
        "speed over the fair partner's",
        "optimisers",
        _b6,
    ),
    Claim(
        "B7",
        f"{PAPER}, Fig. 4",
        "The loss barrier vanishes before the curvature barrier",
        "branch steps by which Tr H lags, over the last branch",
        "branching",
        _b7,
        _both_vanish,
    ),
    Claim(
        "B8",
        OURS,
        "The drift is that predicted from H and Σ_B, with no free parameter",
        "slope of measured on predicted, less 1",
        "path_drift",
        _b8,
    ),
    Claim(
        "B9",
        OURS,
        "Without projection SGD drifts to an end as well",
        "outward displacement of the nearest point",
        "unprojected",
        _b9,
    ),
    Claim(
        "B10",
        OURS,
        "Interiors and averages are better on held-out data than what they join",
        "gain in accuracy, in temperature-scaled loss (nats)",
        "averages",
        _b10,
    ),
    Claim(
        "B11",
        OURS,
        "One run stays in one convex basin",
        "loss on the line from checkpoint to end over its chord, highest",
        "branching",
        _b11,
    ),
    Claim(
        "C1",
        "both papers",
        "Δ₂^(D) rises along the path where the entropic barrier is",
        "Var δ, middle over ends",
        "path_criteria",
        _c1,
        _there_is_a_barrier,
    ),
]
