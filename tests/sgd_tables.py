"""Synthetic tables of Paper B's dynamics whose truth is known, for the tests of figures and readings."""

import numpy as np
import pandas as pd
from figure_check import LIMITS, grid

from valleyscope.readings.drift import SETTING, exponents, velocities

FLOOR = {name: LIMITS[name] for name in ("inside", "off_floor", "late")}  # of the readings of SGD
PAIRS = ["0-1", "2-3", "4-5"]
STARTS = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
FEW = [0.2, 0.35, 0.65, 0.8]
SPEED = {  # outward, path lengths a step
    "momentum": 1e-4,
    "descent": 1e-5,
    "noise": 0.0,
    "free": 5e-5,
    "sgd": 2e-5,
    "slow": 5e-5,
    "nesterov": 1e-4,
    "decay": 1.2e-4,
    "adam": 3e-4,
    "matched": 1e-4,
}
STEPS = {"momentum": 1500, "descent": 150, "noise": 600, "free": 1500}
STEP_SIZE = {"adam": 0.02, "matched": 0.03}


def sgd_tables(runs=tuple(SPEED), speed=SPEED, scatter=0.02, noise=0.0):
    """Straight motion outward at `speed`; pairs differ by `scatter` of it, replicas by `noise`.

    The path's loss is 0.02 at 0.5 and rises by 0.01 to either end; the straight line's is far higher.
    """
    rng = np.random.default_rng(0)
    tables = []
    for run in runs:
        few = run not in STEPS
        steps = range(0, STEPS.get(run, 900) + 1, 15)
        table = grid(run=[run], pair=PAIRS, start=FEW if few else STARTS, copy=[0, 1], step=steps)
        table["replica"] = 2 * table.groupby("start").ngroup() + table["copy"]
        table["t_eff"] = table["step"] * 0.02
        factor = 1 + scatter * (table["pair"].map(PAIRS.index) - 1)
        moved = np.sign((table["start"] - 0.5).round(9)) * speed[run] * factor * table["step"]
        walk = np.concatenate(
            [np.cumsum(rng.normal(size=len(steps))) - 0 for _ in range(len(table) // len(steps))]
        )
        table["position"] = (table["start"] + moved + noise * walk).clip(0, 1)
        growth = 0.1 * np.sqrt(table["step"]) if run == "free" else 1.5
        moving = table["step"] > 0
        table["distance"] = np.where(moving, growth * factor, 0)
        table["loss"] = np.where(moving, (0.05 if run == "free" else 0.1) * factor, np.nan)
        table["step_size"] = np.where(moving, STEP_SIZE.get(run, 0.05) * factor, np.nan)
        tables.append(table.drop(columns="copy"))
    losses = grid(
        variant=["adamw", "sgd"], kind=["straight", "autoneb"], pair=PAIRS, position=np.linspace(0, 1, 101)
    )
    looked_at = (losses["variant"] == "adamw") & (losses["kind"] == "autoneb")
    losses["train_loss"] = np.where(looked_at, 0.02 + 0.02 * (losses["position"] - 0.5).abs(), 3.0)
    return pd.concat(tables, ignore_index=True), losses


def speed_tables(*args, **options):
    """The same with every replica on the valley floor."""
    table, losses = sgd_tables(*args, **options)
    return table.assign(loss=0.02), losses


RATES = [0.005, 0.01, 0.02, 0.04]
BASE = {"learning_rate": 0.02, "batch": 4, "steps": 15}
SWEEPS = {"learning_rate": RATES, "batch": [2, 4, 8], "steps": [5, 15, 30]}


def drift_tables(too_large=lambda rate: 1.0, noise=0.0, power=None):
    """Formula's drift, outward; the linear prediction is `too_large` times that, the first order twice that.

    `power` replaces the exponents (learning_rate, batch) of the measured drift.
    """
    rng = np.random.default_rng(1)
    rows = [BASE | {name: value} for name, values in SWEEPS.items() for value in values]
    settings = pd.DataFrame(rows).drop_duplicates()
    positions = (np.arange(14) + 0.5) / 14
    table = grid(pair=PAIRS, position=positions).merge(settings, how="cross")
    eta, b, m = (table[name] for name in SETTING)
    level = (
        0.01
        * (1 + 0.03 * (table["pair"].map(PAIRS.index) - 1))
        * (eta / 0.02) ** 3
        * m
        * (m - 1)
        / 210
        * 4
        / b
    )
    shape = np.sin(2 * np.pi * (table["position"] - 0.5))
    truth = level * shape
    se = 0.04 * level
    measured = table.assign(
        descent=1e-4 * shape * eta / 0.02,
        displacement_se=se,
        entropic=truth + noise * se * rng.normal(size=len(table)),
        followed=truth * 1.02,
        followed_se=se,
    )
    if power:
        measured["entropic"] *= (eta / 0.02) ** (power[0] - 3) * (b / 4) ** (power[1] + 1)
    linear = truth * eta.map(too_large)
    predicted = table.assign(predicted=linear, predicted_se=se, leading=2 * linear, leading_se=se)
    slopes = grid(pair=PAIRS, predictor=["linear", "followed", "leading"]).merge(settings, how="cross")
    share = {"linear": 1.0, "followed": 1.02, "leading": 2.0}
    slopes["slope"] = 1 / slopes["learning_rate"].map(too_large) * slopes["predictor"].map(share) ** -1.0
    slopes["slope"] *= 1 + 0.01 * (slopes["pair"].map(PAIRS.index) - 1)
    slopes["slope_se"], slopes["chi2_dof"], slopes["points"] = 0.02, 1.1, 14
    other = (slopes["batch"] != 4) | (slopes["steps"] != 15)
    slopes.loc[other, "slope"] = 9.0  # must not be read
    return measured, predicted, slopes


def sweep_tables(**options):
    measured, predicted, _ = drift_tables(**options)
    speeds = velocities(measured, predicted, LIMITS["inside"])
    return speeds, exponents(speeds)


BRANCHES = [0, 25, 75, 150, 300]
LOSS = [3.0, 1.0, 0.1, 0.02, 0.01]  # barriers, by branch
TRACE = [900.0, 800.0, 500.0, 200.0, 30.0]
PARENTS = [10, 11, 12]


def children_tables(loss=LOSS, trace=TRACE, rise=0.0):
    """Parabolas of given height between children; checkpoints fall to the end, with a hump of `rise`."""
    losses = grid(
        parent=PARENTS, line=["children", "checkpoint"], branch=BRANCHES, position=np.linspace(0, 1, 21)
    )
    hump = 4 * losses["position"] * (1 - losses["position"])
    factor = 1 + 0.1 * (losses["parent"] - 11)
    between = 0.02 + hump * losses["branch"].map(dict(zip(BRANCHES, loss, strict=True))) * factor
    start = losses["branch"].map(dict(zip(BRANCHES, [4.0, 2.0, 0.5, 0.1, 0.04], strict=True))) * factor
    run = start * (0.02 / start) ** losses["position"] + 2 * rise * hump * start
    losses["train_loss"] = np.where(losses["line"] == "children", between, run)
    curvature = grid(parent=PARENTS, branch=BRANCHES, position=[0, 0.25, 0.5, 0.75, 1])
    hump = 4 * curvature["position"] * (1 - curvature["position"])
    height = curvature["branch"].map(dict(zip(BRANCHES, trace, strict=True)))
    curvature["trace"] = 600 + hump * height * (1 + 0.1 * (curvature["parent"] - 11))
    curvature["trace_se"] = 20.0
    return losses, curvature


POINTS = {
    "path": (PAIRS, ["end 0", "end 1", "0.25", "0.5", "0.75"], [None]),
    "children": (PARENTS, ["end 0", "end 1", "middle"], BRANCHES),
    "swa": (PAIRS, ["last", "average"], [None]),
}


def averages_table(gain=0.02, scatter=0.1):
    """Averages gain `gain` accuracy and twice that of scaled loss, lose raw loss and get flatter."""
    tables = [
        grid(source=[source], repeat=names, branch=branches, point=points)
        for source, (names, points, branches) in POINTS.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    average = ~table["point"].isin(["end 0", "end 1", "last"])
    side = table["point"].map({"end 0": 1.0, "end 1": -1.0}).fillna(0)  # cancels in the mean of the ends
    index = table["repeat"].map(lambda name: (PAIRS.index(name) if name in PAIRS else name - 10) - 1)
    size = average * (1 + scatter * index)
    failed = average & (table["branch"] == 0)  # far apart: the mean of the children is no minimum
    table["accuracy"] = 0.3 + 0.01 * side + gain * size - 0.2 * failed * size
    table["scaled_loss"] = 3.5 - 0.05 * side - 2 * gain * size + 1.0 * failed * size
    table["held_out_loss"] = 9 + side + 0.3 * size
    table["train_loss"] = 0.03 + 0.001 * side + 3.0 * failed * size
    table["trace"] = 600 + 50 * side - 200 * size
    table["temperature"], table["trace_se"] = 3.0, 10.0
    return (table,)


def two_repeats(tables):
    """Two pairs or parents, the fewest that have an interval, and not the first ones."""
    kept = {"pair": PAIRS[1:], "parent": PARENTS[1:], "repeat": PAIRS[1:] + PARENTS[1:]}
    for table in tables:
        for column, names in kept.items():
            if column in table:
                table = table[table[column].isin(names)]
        yield table.reset_index(drop=True)
