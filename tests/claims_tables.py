"""Synthetic tables of both papers whose truth is known, for the tests of claims."""

import numpy as np
import pandas as pd
from figure_check import grid

SEEDS, SIZES, SIGMAS, N = range(5), [8, 32, 128], [1e-4, 1e-3], 1000


ARCHITECTURES = ["transformer_1x16", "GRU", "MLP"]
HOLDS = {
    "rate_delta2": 0.02,
    "rate_delta2_D": 0.01,
    "ratio_off": 1e-4,
    "spread_ratio": 0.8,
    "sigma_star": 1e-2,
}
FAILS = {"rate_delta2": 0.4, "rate_delta2_D": 0.4, "ratio_off": 0.3, "spread_ratio": 0.1, "sigma_star": 1e-4}


def architecture_tables(rise=2.0):
    """Every quantity of A11 as claimed; Tr H rises by the factor `rise` on the MLP's paths."""
    table = grid(architecture=ARCHITECTURES, seed=SEEDS).assign(**HOLDS)
    for column in HOLDS:
        table[column] *= 1 + 0.01 * table["seed"]
    table["shared_off"] = table["architecture"].map(dict(zip(ARCHITECTURES, [0.1, 0.2, 0.4], strict=True)))
    table["gradient_share"], table["rate_fixed"] = table["shared_off"] / 2, -0.003
    table["held_out_loss"] = 2.0 + table["shared_off"]
    along = grid(architecture=["MLP", "GRU"], pair=["0-1", "2-3"], position=[0.0, 0.25, 0.5, 0.75, 1.0])
    middle = along["position"] == 0.5
    losses = along.assign(train_loss=np.where(middle, 1.1, 1.0))
    bent = along.assign(trace=100 * np.where(middle & (along["architecture"] == "MLP"), rise, 1.0))
    return {"architectures": table, "architecture_losses": losses, "architecture_curvature": bent}


def landscape_tables(
    gamma=0.0,
    slope=1e-6,
    off=0.0,
    stationarity=1e-5,
    late=0.0,
    value=0.9,
    gradients=0.2,
    beaten=1.0,
    bound=10.0,
):
    """Tables in which the criteria go as (k+1)^(γ−2), the subspace holds `slope` of the spread, and so on.

    `late`: γ of the expected next sample over the later k; `value`: a² where the timed Δ is 1; `gradients`:
    share of the slope that batch gradients hold, the top 0.3; `beaten`: share of random index sets that the
    top-D beats; `bound`: the sharper one.
    """
    rng = np.random.default_rng(0)
    cells = grid(
        regime=["trajectory", "minimisers"],
        seed=SEEDS,
        k=SIZES,
        next=["single", "expected"],
        dim=[4, N],
        sigma=SIGMAS,
    )
    cells["criterion"] = np.where(cells["dim"] == N, "delta2", "delta2_D")
    terms = cells.copy()
    terms["value"] = (terms["k"] + 1.0) ** (gamma - 2) * (1 + 0.01 * terms["seed"])
    terms["slope"] = np.where(terms["dim"] == N, 1.0, slope) * 1e-3 * terms["value"]
    terms["curvature"] = terms["cross"] = 0.0
    terms["spread_ratio"] = np.where(terms["dim"] == N, 1.0, slope)
    terms["gradient_share"], terms["chance"] = terms["spread_ratio"], terms["dim"] / N
    terms["published_bound"], terms["sharper_bound"] = 100.0, bound
    slopes = grid(
        regime=["trajectory", "minimisers", "random", "trained"],
        next=["single", "expected"],
        criterion=["delta1", "delta2", "delta2_D", "next_square", "next_variance"],
        sigma=SIGMAS,
        seed=SEEDS,
    )
    slopes["dim"], slopes["estimator"] = N, "gaussian_moment"
    slopes["slope"] = gamma + 0.01 * rng.normal(size=len(slopes))
    slopes.loc[slopes["criterion"] == "delta1", "slope"] = gamma / 2
    slopes.loc[slopes["regime"].isin(["random", "trained"]), "slope"] = 0.001 * rng.normal()
    points = grid(regime=["trajectory", "minimisers"], seed=SEEDS, k=SIZES).assign(stationarity=stationarity)
    points["next_square"] = (points["k"] + 1.0) ** np.where(points["k"] < 32, 0.0, late)
    validity = grid(
        regime=["trained", "minimisers"],
        seed=SEEDS,
        dim=[4, N],
        quantity=["increment"],
        precision=["float64", "float32", "bfloat16"],
    )
    validity["sigma_star"], validity["sigma_floor"] = 5e-3 * (1 + 0.01 * validity["seed"]), 1e-5
    estimators = grid(regime=["trained"], seed=SEEDS, dim=[10], sigma=SIGMAS, samples=[8, 64])
    estimators["gaussian_moment"], estimators["value"], estimators["direct_se"] = 1.001, 1.0, 1e-4
    estimators["beyond"] = 1e-3
    estimators["difference"] = 1e-3 * off * (1 + 0.01 * estimators["seed"])
    sets = grid(regime=["trained"], seed=SEEDS, k=[64], dim=[4], draw=range(21))
    sets["quadratic"] = np.where(sets["draw"] <= 20 * (1 - beaten), 10.0, 1.0)
    lemma5 = grid(regime=["trained", "minimisers"], seed=SEEDS).assign(
        nonnegative=0.9, rank_correlation=0.5, off_diagonal=0.1, lambda_min=-0.05
    )
    subspaces = grid(
        regime=["trained"],
        seed=SEEDS,
        k=[64],
        subspace=["top", "bottom", "random", "gradients", "increment"],
        dim=[1, 64],
        sigma=SIGMAS,
    )
    shares = {"top": 0.3, "bottom": 0.1, "random": 0.01, "gradients": gradients, "increment": 1.0}
    subspaces["gradient_share"] = subspaces["subspace"].map(shares) * (1 + 0.01 * subspaces["seed"])
    subspaces["chance"] = subspaces["dim"] / N
    subspaces["spread_ratio"] = subspaces["gradient_share"] / 2
    calls = [
        ("corrected", "I subspace", "", 4.0),
        ("corrected", "II coefficients", "", 0.5),
        ("corrected", "III evaluation", "direct", 2.0),
        ("corrected", "III evaluation", "gaussian_moment", 1e-5),
        ("published", "III evaluation", "direct_unbatched", 5.0),
        ("published", "III evaluation", "gaussian_moment", 2e-5),
    ]
    timing = pd.DataFrame(
        [(*c[:3], c[3] * (1 + 0.01 * i), i, 8) for c in calls for i in range(3)],
        columns=["procedure", "stage", "estimator", "seconds", "repeat", "k"],
    )
    timing["estimator"] = timing["estimator"].replace("", np.nan)
    accuracy = pd.DataFrame(
        {
            "sigma": SIGMAS,
            "samples": 64,
            "direct": 1.0,
            "direct_se": [0.001, 0.1],
            "difference": [1e-6, 0.5],
            "gaussian_moment": 1.0,
            "value": value,
        }
    )
    return {
        "terms": terms,
        "slopes": slopes,
        "points": points,
        "validity": validity,
        "estimators": estimators,
        "index_sets": sets,
        "lemma5": lemma5,
        "minimisers": pd.DataFrame({"ridge": [0.1]}),
        "subspaces": subspaces,
        "timing": timing,
        "accuracy": accuracy,
        **architecture_tables(),
    }


# ---------------------------------------------------------------- Paper B

PAIRS = ["0-1", "2-3", "4-5"]
PARENTS, BRANCHES = [10, 11, 12], [0, 20, 60, 150]
KINDS = {"adamw": ["straight", "bezier", "autoneb"], "sgd": ["autoneb"]}
STARTS = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]


def scatter(table, size=0.01):
    """1 ± size by pair or parent."""
    name = next(n for n in ("pair", "parent", "repeat", "seed") if n in table)
    index = table[name].map(dict(zip(table[name].unique(), range(99), strict=False)))
    return 1 + size * (index % 3 - 1)


def connectivity_tables(
    coefficient=0.5,
    highest=1.0,
    bezier=1.1,
    rise=2.0,
    norm=1.0,
    variance=2.0,
    outward=0.1,
    loss_end=0.02,
    exponents=(-1.0, 2.0),
    fair=3.0,
    loss_gone=20,
    curvature_gone=150,
    slope=1.0,
    free=0.1,
    gain=0.02,
    hump=1.0,
    loss=0.03,
):
    """Every table of Paper B with those findings.

    `norm`: group norms in the middle over the ends. `loss_end`: change of the path's loss from the middle
    outward; `loss`: of the minibatches. `fair`: speed over the fair partner's. `loss_gone`, `curvature_gone`:
    branch steps from which on the barriers are 0. `hump`: loss in the middle of a run's line over its chord.
    """
    fits = grid(
        seed=range(5),
        noise=["isotropic", "proportional"],
        quantity=["density", "drift"],
        step_size=[1e-3, 5e-4],
        law=["log", "linear"],
    )
    own = (fits["noise"] == "isotropic") == (fits["law"] == "log")
    fits["coefficient"] = np.where(own, coefficient, 0.9) * scatter(fits)
    fits["chi2_dof"] = np.where(own, 1.0, 20.0)

    kinds = pd.DataFrame([(v, k) for v in KINDS for k in KINDS[v]], columns=["variant", "kind"])
    along = kinds.merge(grid(pair=PAIRS, position=np.linspace(0, 1, 21).round(9)), how="cross")
    bump = 1 - (2 * (along["position"] - 0.5)).abs()  # 0 at the ends, 1 in the middle
    losses = along.copy()
    top = along["kind"].map({"straight": 100.0, "bezier": bezier, "autoneb": highest})
    losses["train_loss"] = 0.02 * (1 + (top - 1) * bump - loss_end * bump) * scatter(losses)
    curvature = along.copy()
    for name in ("trace", "lambda_max"):
        curvature[name] = 100 * (1 + (rise - 1) * np.minimum(1, 2 * bump)) * scatter(curvature)
    curvature["train_loss"], curvature["trace_se"] = losses["train_loss"], 1.0
    leading = curvature.merge(pd.DataFrame({"rank": [1, 2]}), how="cross")
    leading["eigenvalue"] = leading["lambda_max"] / leading["rank"]
    groups = curvature.merge(pd.DataFrame({"group": ["up", "down"]}), how="cross")
    groups["norm"] = 1 + (norm - 1) * np.minimum(1, 2 * (1 - 2 * (groups["position"] - 0.5).abs()))
    groups["trace"] = groups["trace"] / 2
    looked = curvature[(curvature["kind"] == "autoneb") & (curvature["variant"] == "adamw")]
    criteria = looked.merge(grid(dim=[1, 4], sigma=[1e-3, 1e-2]), how="cross")
    shape = np.minimum(1, 2 * (1 - 2 * (criteria["position"] - 0.5).abs()))
    criteria["variance"] = (1 + (variance - 1) * shape) * scatter(criteria)
    criteria["value"] = 1.0

    speed = {
        "momentum": outward,
        "free": free,
        "slow": outward / fair,
        "nesterov": outward,
        "adam": outward,
        "matched": outward / fair,
        "sgd": outward / 10,
        "descent": 0.001,
        "noise": 0.0,
    }
    runs = grid(run=list(speed), pair=PAIRS, start=STARTS, replica=[0, 1], step=[0, 300, 600])
    side = np.sign((runs["start"] - 0.5).round(9))
    moved = runs["run"].map(speed) * runs["step"] / 600 * scatter(runs)
    runs["position"] = runs["start"] + side * moved
    runs["t_eff"] = runs["step"] * 0.1
    runs["distance"], runs["loss"], runs["step_size"] = 1.0 + runs["step"] / 600, loss, 0.05

    settings = pd.DataFrame(
        [(0.1, 4, 15), (0.2, 4, 15), (0.1, 2, 15), (0.1, 8, 15), (0.1, 4, 5)],
        columns=["learning_rate", "batch", "steps"],
    )
    velocities = grid(pair=PAIRS).merge(settings, how="cross")
    velocities["velocity"], velocities["descent"] = 1e-3 * scatter(velocities), 1e-4 * scatter(velocities)
    powers = {"batch": exponents[0], "learning_rate": exponents[1], "steps": 1.0}
    found = grid(pair=PAIRS, variable=list(powers))
    found["exponent"] = found["variable"].map(powers) * scatter(found)
    found["predicted"] = found["formula"] = found["variable"].map(powers)
    fitted = grid(pair=PAIRS, predictor=["linear", "followed", "leading"]).merge(settings, how="cross")
    fitted["slope"] = slope * scatter(fitted)
    fitted.loc[(fitted["batch"] != 4) | (fitted["steps"] != 15), "slope"] = 9.0  # not to be read
    fitted["chi2_dof"] = 1.0 * scatter(fitted)

    children = grid(
        parent=PARENTS, branch=BRANCHES, position=np.linspace(0, 1, 5), line=["children", "checkpoint"]
    )
    inside = children["position"] == 0.5
    between = children["line"] == "children"
    barrier = (children["branch"] < loss_gone) * 3.0
    start = np.where(between, 0.02, 0.02 + 5.0 * (1 - children["position"]))  # of a run, from far above
    children["train_loss"] = start + inside * np.where(between, barrier, start * (hump - 1))
    children["train_loss"] *= scatter(children)
    bend = grid(parent=PARENTS, branch=BRANCHES, position=[0.0, 0.5, 1.0])
    bend["trace"] = 100 + 500.0 * (bend["position"] == 0.5) * (bend["branch"] < curvature_gone)
    bend["trace_se"] = 1.0

    rows = [("path", p, None, n) for p in PAIRS for n in ("end 0", "end 1", "0.5")]
    rows += [("children", p, b, n) for p in PARENTS for b in BRANCHES for n in ("end 0", "end 1", "middle")]
    rows += [("swa", p, None, n) for p in PAIRS for n in ("last", "average")]
    averages = pd.DataFrame(rows, columns=["source", "repeat", "branch", "point"])
    better = gain * averages["point"].isin(["0.5", "middle", "average"]) * scatter(averages)
    averages["accuracy"], averages["scaled_loss"] = 0.3 + better, 3.0 - 2 * better
    averages["held_out_loss"] = averages["train_loss"] = averages["trace"] = 1.0
    return {
        "valley_fits": fits,
        "path_losses": losses,
        "path_curvature": curvature,
        "path_eigenvalues": leading,
        "path_groups": groups,
        "path_criteria": criteria,
        "projected_sgd": runs,
        "drift_velocities": velocities,
        "drift_exponents": found,
        "drift_slopes": fitted,
        "children": children,
        "children_curvature": bend,
        "averages": averages,
    }
