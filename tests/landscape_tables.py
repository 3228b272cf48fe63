"""Synthetic tables of Paper A with a known finding, for the tests of its figures and readings."""

import numpy as np
import pandas as pd
from figure_check import grid

N = 1000
SIGMAS = [1e-4, 1e-3, 1e-2]
SIZES = {"trajectory": [8, 16, 32, 64], "minimisers": [8, 16]}
SMOKE = {"seeds": 2, "sigmas": [1e-3, 1e-2], "sizes": {"trajectory": [4, 8], "minimisers": [4, 8]}}
SLOPE = {"delta2": 10.0, 1: 0.1, 4: 0.4}  # ‖g_{k+1} − g^(k)‖², in full space and in the top D
TRACE = {"delta2": 300.0, 1: 5.0, 4: 20.0}
GAMMA = {"trajectory": 0.25, "minimisers": 0.0}  # of E(ℓ − L_k)² with k + 1
STARS = {1: 5e-2, 4: 5e-2, N: 2e-3}  # σ* by dim


# ---------------------------------------------------------------- criteria, their terms and slopes


def _by_probe(table):
    """Columns criterion and dim from `probe`: "delta2" or D."""
    whole = table["probe"] == "delta2"
    return table.assign(
        criterion=np.where(whole, "delta2", "delta2_D"), dim=table["probe"].where(~whole, N).astype(int)
    )


def cells(seeds=5, sigmas=SIGMAS, sizes=SIZES):
    """Every (regime, seed, k, next, probe, σ)."""
    axes = {"next": ["single", "expected"], "probe": ["delta2", 1, 4], "sigma": sigmas}
    rows = [grid(regime=[regime], seed=range(seeds), k=k, **axes) for regime, k in sizes.items()]
    return _by_probe(pd.concat(rows, ignore_index=True))


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
    both = {"next": ["single", "expected"], "seed": range(seeds)}
    own = grid(regime=list(GAMMA), probe=probes, **both)
    fixed = grid(regime=["random", "trained"], probe=[("delta2", N, 1e-3, "direct")], **both)
    table = pd.concat([own, fixed], ignore_index=True)
    table[["criterion", "dim", "sigma", "estimator"]] = table.pop("probe").tolist()
    noise = 0.01 * (table["seed"] - (seeds - 1) / 2)
    right = table["estimator"].isin(["gaussian_moment", "exact"])
    table["slope"] = table["regime"].map(GAMMA | {"random": 0.0, "trained": 0.0}) + noise
    table.loc[~right & table["regime"].isin(GAMMA), "slope"] += 5  # of another estimator: not to be read
    return table.assign(intercept=0.0, points=4)


def validity_table(seeds=5, stars=STARS):
    table = grid(
        regime=["trained", "minimisers"],
        seed=range(seeds),
        k=[64],
        quantity=["increment", "loss"],
        dim=list(stars),
        precision=["float64", "float32"],
    )
    right = (table["quantity"] == "increment") & (table["precision"] == "float64")
    table["sigma_star"] = table["dim"].map(stars).where(right, 9.0)
    return table.assign(sigma_floor=np.nan, limit=0.1)


def sequences_table(seeds=5):
    table = _by_probe(
        grid(
            regime=list(GAMMA),
            next=["single", "expected"],
            probe=["delta2", 1, 4],
            sigma=SIGMAS,
            epsilon=[1e-4, 1e-3, 1e-2],
            seed=range(seeds),
        )
    )
    table["k"] = 0.5 / table["epsilon"] * 2.0 ** (table["seed"] - (seeds - 1) / 2)
    table["k"] *= np.where(table["next"] == "single", 0.8, 1.0) * np.where(table["probe"] == "delta2", 1.2, 1)
    return table.assign(extrapolated=table["k"] > 1000)


def with_holes(tables):
    """A seed is missing in one cell of each table, a number in every fifth; no σ* was found."""
    tables = [table.drop(index=table.index[1]).reset_index(drop=True) for table in tables]
    for table in tables:
        for column in {"estimate", "slope", "sigma_star", "spread_ratio", "k"} & set(table):
            if column != "k" or "epsilon" in table:
                table[column] = table[column].astype(float)
                table.loc[table.index[:: 1 if column == "sigma_star" else 5], column] = np.nan
    return tables


# ---------------------------------------------------------------- subspaces


def captured_tables(seeds=(0, 1, 2), dims=(1, 4), sigmas=(1e-4, 1e-3, 1e-2), n=10_000):
    """Gradients hold three times as much as the top eigenspace, bottom and random ones less."""
    weights = ["trained", "minimisers"]
    shares = {"top": 0.01, "bottom": 0.001, "random": 1 / n, "gradients": 0.03}
    subspaces = grid(
        regime=weights, seed=seeds, k=[16], subspace=[*shares, "increment"], dim=dims, sigma=sigmas
    )
    share = subspaces["subspace"].map(shares) * subspaces["dim"] * (1 + subspaces["seed"])
    subspaces["gradient_share"] = share.fillna(1.0)
    subspaces["spread_ratio"] = subspaces["gradient_share"] / 2
    subspaces["chance"] = subspaces["dim"] / n
    sets = grid(regime=weights, seed=seeds, k=[16], dim=dims, draw=range(5))
    sets["quadratic"] = np.where(sets["draw"] == 1, 3.0, np.where(sets["draw"] == 0, 2.0, 1.0))
    lemma5 = grid(regime=weights, seed=seeds, k=[16])
    lemma5[["nonnegative", "rank_correlation", "off_diagonal"]] = [0.75, 0.5, 0.9]
    stars = {dim: 0.2 / np.sqrt(dim) for dim in (*dims, n)}
    return [subspaces, sets, lemma5, validity_table(len(seeds), stars)]


# ---------------------------------------------------------------- architectures

ARCHITECTURES = ["transformer_1x16", "GRU", "MLP"]
SIZE = 2464  # N of the first


def architecture_tables(seeds=(0, 1, 2), pairs=("0-1", "2-3", "4-5"), rise=2.0):
    """Quantities that grow from the first architecture to the last; `rise` times Tr H on the MLP's paths."""
    table = grid(architecture=ARCHITECTURES, seed=seeds)
    place = table["architecture"].map(ARCHITECTURES.index)
    wobble = 1 + 0.01 * (table["seed"] - 1)
    table["parameters"] = SIZE * (1 + place)
    table["rate_delta2"] = (0.1 * (place + 1)) * wobble
    table["rate_fixed"] = -0.003 * wobble
    table["ratio_off"], table["shared_off"] = 1e-3 * wobble, 1e-2 * wobble
    table["spread_ratio"], table["gradient_share"] = 10.0**-place / 8 * wobble, 10.0**-place / 9 * wobble
    table["sigma_star"] = 3e-3 * (place + 1) * wobble
    costs = table[["architecture", "seed"]].assign(gradients=50.0 * (place + 1))
    costs["gradients"] *= 2.0 ** (table["seed"].map(list(seeds).index) - 1)  # a geometric mean of 50
    along = grid(architecture=["MLP", "GRU"], pair=pairs, position=np.linspace(0, 1, 9))
    bump = np.minimum(1, 2 - 4 * (along["position"] - 0.5).abs()).clip(lower=0)
    scatter = 1 + 0.1 * along["pair"].map(list(pairs).index)
    losses = along.assign(train_loss=(1 + 0.2 * bump) * scatter)
    top = np.where(along["architecture"] == "MLP", rise, 1.0)
    bent = along.assign(trace=100 * (1 + (top - 1) * bump) * scatter)
    return [table, costs, losses, bent]
