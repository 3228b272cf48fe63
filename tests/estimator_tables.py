"""Synthetic tables of Paper A's estimators whose truth is known, for the tests of figures and of Table 3."""

import itertools

import figure_check
import numpy as np
import pandas as pd

from valleyscope.figures.landscape.shared import PRECISIONS

N = 10_000
SEEDS = [0, 1, 2]
K = {"trained": 16, "minimisers": 8}

DEFAULT = {"seeds": range(5), "ks": [8, 16, 32, 64, 128], "dims": [1, 4, 16]}
SMOKE = {"seeds": range(2), "ks": [4, 8], "dims": [1, 4]}


def grid(**axes):
    """A row each combination, at the k of its regime."""
    return figure_check.grid(**axes).assign(k=lambda table: table["regime"].map(K))


def validity_table(seeds=SEEDS, dims=(1, 4, N)):
    """σ* = 0.2/√dim: one number in σ√dim. float32 needs σ ≥ 1e-3, bfloat16 never gets there."""
    table = grid(
        regime=list(K), seed=seeds, quantity=["loss", "increment"], dim=dims, precision=list(PRECISIONS),
    )  # fmt: skip
    table["sigma_star"] = (0.2 / np.sqrt(table["dim"])).where(table["precision"] != "bfloat16")
    table["sigma_floor"] = np.where(table["precision"] == "float32", 1e-3, np.nan)
    table["limit"] = 0.1
    return table


def without_star(validity):
    """The first seed has no σ* in full space at trained weights."""
    first = (validity["seed"] == 0) & (validity["dim"] == N) & (validity["regime"] == "trained")
    return validity.assign(sigma_star=validity["sigma_star"].mask(first))


def estimators_table(seeds=SEEDS, dims=(1, 4, N), sigmas=(1e-3, 1e-2), samples=(8, 24, 64)):
    """A small a in seed 0 and a large one in seed 2; δ² − q² is 3 % of Var q, 30 % at the largest σ."""
    table = grid(regime=list(K), seed=seeds, dim=dims, sigma=sigmas, samples=samples)
    table["value"] = 10.0 ** (2 * table["seed"])
    table["variance"] = table["sigma"] ** 2
    table["gaussian_moment"] = table["value"] + table["variance"]
    table["difference"] = table["variance"] * np.where(table["sigma"] == max(sigmas), 0.3, 0.03)
    table["quadratic"] = table["gaussian_moment"] * (1 + 0.01 * (table["seed"] - np.mean(seeds)))
    table["direct"] = 1.05 * table["gaussian_moment"]
    return table


def with_gaps(table, columns):
    """Without its last row, and without a number in its second."""
    table = table.drop(index=len(table) - 1)
    table.loc[1, columns] = np.nan
    return table


def with_many_gaps(tables):
    """Rows and numbers go, but for those of a grid."""
    result = []
    for table in tables:
        table = table.drop(index=table.index[7::23]).reset_index(drop=True)
        floats = table.select_dtypes("float").columns.drop(["x", "y", "setting"], errors="ignore")
        table.loc[table.index[5::31], floats] = np.nan
        result.append(table)
    return result


def timing_table(ks, dim, repeats=3):
    """Both procedures at the last k but one, the corrected one at every k."""
    rows = []
    for k in ks:
        shapes = [
            ("corrected", "gradient", None, 0.01, 0),
            ("corrected", "I subspace", None, 2.0, 60),
            ("corrected", "II coefficients", None, 0.05, dim),
            ("corrected", "III evaluation", "direct", 0.2, 0),
            ("corrected", "III evaluation", "direct_unbatched", 1.0, 0),
            ("corrected", "III evaluation", "quadratic", 1e-4, 0),
            ("corrected", "III evaluation", "gaussian_moment", 1e-5, 0),
        ]
        if k == ks[-2]:
            shapes += [
                ("published", "gradient", None, 0.01, 0),
                ("published", "I subspace", None, 20.0, 2000),
                ("published", "II coefficients", None, 0.5, 100),
                ("published", "III evaluation", "direct_unbatched", 1.0, 0),
                ("published", "III evaluation", "gaussian_moment", 1e-5, 0),
            ]
        for (procedure, stage, estimator, seconds, products), repeat in itertools.product(
            shapes, range(repeats)
        ):
            seconds = seconds * (1 + 0.02 * (repeat - (repeats - 1) / 2))
            rows.append((procedure, k, dim, stage, estimator, repeat, seconds, products, seconds / 0.01))
    columns = ["procedure", "k", "dim", "stage", "estimator", "repeat", "seconds", "products", "gradients"]
    return pd.DataFrame(rows, columns=columns)


def cost_tables(seeds, ks, dims):
    """Timing, and errors whose bias passes 1 % between σ = 1e-3 and 1e-2."""
    errors = pd.DataFrame({"sigma": [1e-4, 1e-3, 1e-2]}).assign(k=ks[-2], dim=dims[-1], samples=64)
    errors["direct"] = errors["value"] = errors["gaussian_moment"] = 1e-4
    errors["direct_se"] = errors["direct"] * [0.001, 0.01, 0.1]  # relative
    errors["quadratic_se"] = errors["direct_se"]
    errors["difference"] = errors["direct"] * [-1e-6, -1e-3, 0.05]
    errors["difference_se"] = 0.1 * errors["difference"].abs()
    return timing_table(ks, dims[-1]), errors
