"""What rules share: sections of the configuration, tables and figures, points and paths."""

import shlex

from dag.ledger import judged_limits, judged_tables
from dag.options import (
    architecture,
    as_json,
    corpus_source,
    digest_of,
    digest_of_figure,
    drift_grid,
    methods,
    middle,
    options,
    ordered,
    prediction_grid,
    problem,
    task,
)
from valleyscope.engine.compiled import compiler
from valleyscope.figures import catalogue

A = config["landscape"]
B = config["connectivity"]
ARCH = config["architectures"]
LIMITS = config["readings"] | config["claims"]  # windows and thresholds of claims and figures
PROBLEM_A = problem(config, A)
PROBLEM_B = problem(config, B) + f" --data-seed {B['data_seed']}"

COMPILED = ""  # the option of stages whose gradients of replicas may be compiled
if config["compiled"] and compiler():
    COMPILED = f" --compiled {shlex.quote(config['output']['results'])}/programs"

# ---------------------------------------------------------------- tables and figures

TABLES = {}  # section -> table -> the parts that it is gathered from
WHOLE_TABLES = ["timing", "accuracy", "slopes", "sequences", "replicas", "claims"]
WHOLE_TABLES += ["drift_slopes", "drift_velocities", "drift_exponents"]
FIGURES = {
    name: figure for name, figure in catalogue.FIGURES.items() if figure.section != "benchmarks"
}
HEADINGS = catalogue.PAPERS | {"architectures": catalogue.PAPERS["landscape"]}  # of the report


def reported(table, heading):
    """The file of a table, which Snakemake's report shows under a heading."""
    return report(
        f"<results>/{table}.csv",
        caption="captions/table.rst",
        category=heading,
        labels={"what": Path(table).name, "kind": "table"},
    )


def either(values):
    """The constraint of a wildcard that takes these values."""
    return "|".join(map(str, values))


# ---------------------------------------------------------------- points of Paper A

SIZES = {"trajectory": A["trajectory"]["k"], "minimisers": A["minimisers"]["k"]}  # regime -> k
FOCUS = {"trained": [A["focus"]["k"]], "minimisers": [A["focus"]["k"]]}  # looked at closely
CHECKPOINTS = {  # regime -> weights
    "trajectory": "<landscape>/weights_trajectory_{seed}_{k}.safetensors",
    "minimisers": "<landscape>/weights_minimisers_{seed}_{k}.safetensors",
    "trained": "<landscape>/model_{seed}.safetensors",
}


def of_seeds(part, regimes, seeds=A["seeds"]):
    """Parts of a table, one for each regime and seed."""
    return [f"<landscape>/{part}_{regime}_{seed}.csv" for regime in regimes for seed in seeds]


def of_regimes(part, regimes):
    """Parts of a table that one job of a seed makes."""
    return expand(f"<landscape>/{part}_{{regime}}_{{seed}}.csv", regime=regimes, allow_missing=True)


def of_regime(w):
    """The points of one regime, as SIZES has them."""
    return {w.regime: SIZES[w.regime]}


def at_points(pattern, sizes, seed):
    """A file for each point of a seed; `pattern` may be one for each regime."""
    patterns = pattern if isinstance(pattern, dict) else dict.fromkeys(sizes, pattern)
    points = [(regime, k) for regime in sizes for k in sizes[regime]]
    return [patterns[regime].format(regime=regime, seed=seed, k=k) for regime, k in points]


def checkpoints(sizes, seed="{seed}"):
    """Weights of each point."""
    return at_points(CHECKPOINTS, sizes, seed)


def eigen(sizes, seed="{seed}"):
    """Eigenpairs of each point."""
    return at_points("<landscape>/eigen_{regime}_{seed}_{k}.safetensors", sizes, seed)


def points(sizes, **of):
    """--at of a stage: regime and k of each, and what functions of both add."""
    rows = [{"regime": regime, "k": k} for regime in sizes for k in sizes[regime]]
    return as_json([row | {name: tell(**row) for name, tell in of.items()} for row in rows])


def eigenpairs(regime, k):
    """More where the point is looked at closely."""
    return A["focus"]["eigenpairs"] if k in FOCUS.get(regime, []) else max(dims(regime, k))


def dims(regime, k):
    """D of the criteria at a point."""
    wide = regime != "trajectory" or k <= A["trajectory"]["wide_until"]
    return A["dims"] if wide else A["trajectory"]["narrow_dims"]


# ---------------------------------------------------------------- paths of Paper B

PAIRS = {f"{a}-{b}": (a, b) for a, b in B["pairs"]}
PARENTS = dict(zip(PAIRS, B["branching"]["parents"]))  # family evaluated beside a pair's path
CURVES = [f"{variant}_{kind}" for variant in B["kinds"] for kind in B["kinds"][variant]]
RUNS = B["dynamics"]["runs"]
PREDICTION_SEEDS = 1000  # added to seeds, so that prediction and measurement share no draw


def on_paths(part):
    """Parts of a table, one for each path."""
    return expand("<connectivity>/{part}_{curve}_{pair}.csv", part=part, curve=CURVES, pair=PAIRS)


def of_pair(part, ext="csv"):
    """Those of the paths of one pair, the same whatever the order in the configuration."""
    return [f"<connectivity>/{part}_{curve}_{{pair}}.{ext}" for curve in sorted(CURVES)]


def seed_of_pair(w):
    return PAIRS[w.pair][0]


# ---------------------------------------------------------------- other architectures


def studied(part):
    """Parts of a table, one for each architecture."""
    return expand("<architectures>/{part}_{model}.csv", part=part, model=ARCH["models"])


def traced(part):
    """Parts of a table, one for each architecture with paths between its minima."""
    return expand("<architectures>/{part}_{model}.csv", part=part, model=ARCH["paths"]["models"])
