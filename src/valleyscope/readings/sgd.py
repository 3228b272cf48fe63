"""Readings of projected SGD: which way replicas went on the path, how far, how fast, up or down in loss.

Table: projected_sgd, see results/README.md. Pairs of minima are the independent repeats; starts and replicas
share a path. Windows and limits stand in the configuration under `readings`:

    inside      starts whose drift is judged: further out the ends stop it
    off_floor   minibatch loss over the path's from which a replica has left the valley floor
    kept        share of replicas on the valley floor from which a run has a speed
    late        last share of a run, over which minibatch losses are averaged: one period has few
    reach       share of the path beyond which replicas from the outer starts come near the end
"""

import numpy as np
import pandas as pd

from valleyscope.errors import InputError
from valleyscope.readings.paths import rows_of

Window = tuple[float, float]
FAIR = {  # optimiser and the plain SGD that it is compared with, by what the comparison is called
    "momentum over plain SGD at η/(1−β)": ("momentum", "slow"),
    "Nesterov over plain SGD at η/(1−β)": ("nesterov", "slow"),
    "Adam over plain SGD of equal RMS step": ("adam", "matched"),
}


def outward(table: pd.DataFrame) -> pd.Series:
    """Displacement towards the nearer end, in lengths of the path; NaN from a start at 0.5."""
    side = np.sign((table["start"] - 0.5).round(9))
    return (side * (table["position"] - table["start"])).where(side != 0)


def within(table: pd.DataFrame, inside: Window) -> pd.DataFrame:
    """The rows with starts inside."""
    return table[table["start"].between(inside[0] - 1e-9, inside[1] + 1e-9)]


def directed(table: pd.DataFrame, inside: Window) -> pd.DataFrame:
    """The rows with starts inside that have a nearer end, which a start at 0.5 has not, with `outward`."""
    rows = within(table, inside)
    return rows[(rows["start"] - 0.5).abs() > 1e-9].assign(outward=outward)


def shared_starts(table: pd.DataFrame) -> list[float]:
    """The starts that every run of the table has; InputError if there is none."""
    starts = set.intersection(*(set(starts) for _, starts in table.groupby("run")["start"]))
    if not starts:
        raise InputError(f"the runs {', '.join(sorted(table['run'].unique()))} share no start")
    return sorted(starts)


def by_start(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Means over replicas: pairs are the independent repeats, replicas share a path."""
    return table.groupby(["run", "pair", "start", "step", "t_eff"], as_index=False)[columns].mean()


def last_common_step(table: pd.DataFrame) -> int:
    """The last step at which every run of the table has a row."""
    return max(set.intersection(*(set(steps) for _, steps in table.groupby("run")["step"])))


def path_loss(path_losses: pd.DataFrame, pairs: pd.Series, positions: pd.Series) -> np.ndarray:
    """Training loss of each pair's path at positions, interpolated linearly, nats per token."""
    rows = rows_of(path_losses).sort_values("position")
    paths = {pair: (part["position"], part["train_loss"]) for pair, part in rows.groupby("pair")}
    return np.array([np.interp(at, *paths[pair]) for pair, at in zip(pairs, positions, strict=True)])


def final_changes(
    table: pd.DataFrame, path_losses: pd.DataFrame, run: str, *, inside: Window, off_floor: float, late: float
) -> pd.DataFrame:
    """Of each replica inside, at its last step: pair, start, t_eff, outward, loss_change, on_floor.

    loss_change: of the path at its place. on_floor: its own minibatch loss, mean over the late share of the
    run, is at most off_floor times the path's.
    """
    table = table[table["run"] == run]
    rows = directed(table, inside)
    rows = rows[rows["step"] == rows["step"].max()]
    before, after = (path_loss(path_losses, rows["pair"], rows[name]) for name in ("start", "position"))
    own = late_rows(table, late).groupby(["pair", "replica"])["loss"].mean()
    loss = own.reindex(pd.MultiIndex.from_frame(rows[["pair", "replica"]])).to_numpy()
    rows = rows.assign(loss_change=after - before, on_floor=loss <= off_floor * after)
    return rows[["pair", "start", "t_eff", "outward", "loss_change", "on_floor"]]


def late_rows(table: pd.DataFrame, late: float) -> pd.DataFrame:
    """The rows of the last share of a run."""
    return table[table["step"] > (1 - late) * table["step"].max()]


def late_loss(table: pd.DataFrame, run: str, *, inside: Window, late: float) -> pd.Series:
    """Mean minibatch loss over the late share of a run, from starts inside, by pair, nats per token."""
    rows = directed(table[table["run"] == run], inside)
    return late_rows(rows, late).groupby("pair")["loss"].mean()


def beyond_control(final: pd.DataFrame, control: str) -> pd.DataFrame:
    """Outward displacement of SGD minus that of a control from the same start: start, pair, excess."""
    wide = final.pivot(index=["start", "pair"], columns="run", values="outward")
    return (wide["momentum"] - wide[control]).dropna().rename("excess").reset_index()


def uphill(changes: pd.DataFrame) -> pd.Series:
    """Share of replicas that moved outward to where the path's loss is higher, by pair."""
    return ((changes["outward"] > 0) & (changes["loss_change"] > 0)).groupby(changes["pair"]).mean()


def floor_share(table: pd.DataFrame, path_losses: pd.DataFrame, run: str, step: int, **limits) -> pd.Series:
    """Share of a run's replicas inside that are on the valley floor at a step, by pair (`final_changes`)."""
    changes = final_changes(table[table["step"] <= step], path_losses, run, **limits)
    return changes["on_floor"].groupby(changes["pair"]).mean()


def speed_ratio(
    table: pd.DataFrame,
    path_losses: pd.DataFrame,
    over: str,
    under: str,
    *,
    reach: float,
    kept: float,
    **limits,
) -> tuple[pd.Series, int]:
    """Outward displacement of one run over that of another, by pair, and the step at which they are taken.

    Both from the starts that both have, at the last step they share before either has moved `reach` of the
    path in the mean; NaN in a pair in which either has not moved outward, or has a smaller share
    than `kept` of its replicas left on the valley floor: elsewhere a displacement along the path is no drift.
    """
    means = by_start(directed(table, limits["inside"]), ["outward"])
    both = means[means["run"].isin([over, under]) & (means["step"] > 0)]
    wide = both.pivot(index=["pair", "start", "step"], columns="run", values="outward").dropna()
    farthest = wide.groupby("step").mean().abs().max(axis=1)
    within = farthest[(farthest <= reach).cummin()]
    step = int(within.index[-1] if len(within) else farthest.index[0])
    moved = wide.xs(step, level="step").groupby("pair").mean()
    floor = pd.DataFrame({run: floor_share(table, path_losses, run, step, **limits) for run in (over, under)})
    drifts = (moved > 0).all(axis=1) & (floor >= kept).all(axis=1)
    return (moved[over] / moved[under]).where(drifts), step


def step_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """RMS length of a step in the first period and over the run, in weights: run, pair, first, whole.

    From the starts that every run has; means over replicas, then over starts, before the square.
    """
    means = by_start(table[table["start"].isin(shared_starts(table))], ["step_size"])
    means = means.groupby(["run", "pair", "step"], as_index=False)["step_size"].mean().dropna()
    sizes = means.groupby(["run", "pair"])["step_size"]
    whole = sizes.agg(lambda lengths: np.sqrt(np.mean(lengths**2)))
    return pd.DataFrame({"first": sizes.first(), "whole": whole}).reset_index()


def courses(table: pd.DataFrame, path_losses: pd.DataFrame, inside: Window) -> pd.DataFrame:
    """Both runs, "free" and "momentum": run, pair, step, t_eff, distance, outward, loss, path_loss.

    At the steps and from the starts inside that both have, means over these. path_loss: training loss of the
    path at the nearest point.
    """
    table = directed(table[table["run"].isin(["free", "momentum"])], inside)
    steps = set.intersection(*(set(steps) for _, steps in table.groupby("run")["step"]))
    table = table[table["step"].isin(steps) & table["start"].isin(shared_starts(table))]
    table = table.assign(path_loss=path_loss(path_losses, table["pair"], table["position"]))
    columns = ["distance", "outward", "loss", "path_loss"]
    return by_start(table, columns).groupby(["run", "pair", "step", "t_eff"], as_index=False)[columns].mean()


def recession(courses: pd.DataFrame) -> pd.Series:
    """Distance of the free run from the path at its end over that at half the time, by pair."""
    free = courses[(courses["run"] == "free") & (courses["step"] > 0)]
    steps = np.sort(free["step"].unique())
    half = steps[max(np.searchsorted(steps, steps[-1] / 2, "right") - 1, 0)]
    end, middle = (free[free["step"] == step].set_index("pair")["distance"] for step in (steps[-1], half))
    return end / middle


def late_losses(courses: pd.DataFrame, late: float) -> pd.DataFrame:
    """Mean minibatch and path loss over the late share of both runs, by run and pair, nats per token."""
    return late_rows(courses, late).groupby(["run", "pair"])[["loss", "path_loss"]].mean()
