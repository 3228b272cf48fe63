"""Synthetic tables of Paper B's paths whose truth is known, for the tests of figures and readings."""

import numpy as np
import pandas as pd
from figure_check import grid

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


def table(values, positions=(0, 0.1, 0.5, 0.9, 1)):
    """A row of values a pair."""
    rows = grid(pair=[str(i) for i in range(len(values))], position=positions)
    return rows.assign(loss=np.ravel(values).astype(float))


def few(tables, positions=(0, 0.5, 1)):
    """About the smoke configuration: few positions and two pairs."""
    for table in tables:
        if positions and "position" in table:
            table = table[table["position"].isin(positions)]
        yield table[table["pair"] != "4-5"]
