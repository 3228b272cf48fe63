"""What rules share: sections of the configuration, tables and figures, points and paths."""

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
from valleyscope.figures import catalogue

A = config["landscape"]
B = config["connectivity"]
ARCH = config["architectures"]
LIMITS = config["readings"] | config["claims"]  # windows and thresholds of claims and figures
PROBLEM_A = problem(config, A)
PROBLEM_B = problem(config, B) + f" --data-seed {B['data_seed']}"

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


def points(part, sizes, seeds=A["seeds"]):
    """Parts of a table, one for each point."""
    at = [(regime, seed, k) for regime in sizes for seed in seeds for k in sizes[regime]]
    return [f"<landscape>/{part}_{regime}_{seed}_{k}.csv" for regime, seed, k in at]


def checkpoint(w):
    return CHECKPOINTS[w.regime].format(**w)


def eigenpairs(w):
    """More where the point is looked at closely."""
    close = int(w.k) in FOCUS.get(w.regime, [])
    return A["focus"]["eigenpairs"] if close else max(dims(w))


def dims(w):
    """D of the criteria at a point."""
    wide = w.regime != "trajectory" or int(w.k) <= A["trajectory"]["wide_until"]
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

ARCH_PAIRS = {f"{a}-{b}": (a, b) for a, b in ARCH["paths"]["pairs"]}


def studied(part):
    """Parts of a table, one for each architecture and seed."""
    models, seeds = ARCH["models"], ARCH["seeds"]
    return expand("<architectures>/{part}_{model}_{seed}.csv", part=part, model=models, seed=seeds)


def traced(part):
    """Parts of a table, one for each path between minima of an architecture."""
    models = ARCH["paths"]["models"]
    return expand(
        "<architectures>/{part}_{model}_{pair}.csv", part=part, model=models, pair=ARCH_PAIRS
    )
