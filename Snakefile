"""valleyscope: raw text -> tables and figures of both papers. Rules stand in the order of the papers."""

import sys
from pathlib import Path

import snakemake.benchmark

sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from dag.plan import outcome, plan
from dag.options import (
    architecture,
    as_json,
    corpus_source,
    digest_of,
    drift_grid,
    methods,
    middle,
    options,
    ordered,
    prediction_grid,
    problem,
    require_writable,
    task,
)
from dag.configuration import check_config
from valleyscope.errors import InputError


configfile: "configs/default.yaml"


# A reading walks the memory map of a job; twice a second for its first 15 s takes time from the jobs.
snakemake.benchmark.BENCHMARK_INTERVAL_SHORT = 2


try:
    check_config(config, Path(workflow.basedir) / "configs/schema.yaml")
    require_writable(config["output"])
except InputError as error:
    sys.exit(str(error))

OUT = config["output"]["results"]
FIG = config["output"]["figures"]
DATA = config["data"]
A = config["landscape"]
B = config["connectivity"]
PROBLEM_A = problem(config, A)
PROBLEM_B = problem(config, B) + f" --data-seed {B['data_seed']}"
PAIRS = {f"{a}-{b}": (a, b) for a, b in B["pairs"]}
CURVES = [(v, kind) for v in B["kinds"] for kind in B["kinds"][v]]  # (variant, path finder)
LOOKED_AT = "adamw_autoneb"  # the one on which SGD runs
RUNS = B["dynamics"]["runs"]
PARENTS = B["branching"]["parents"]
ARCH = config["architectures"]
JOB = config["job"]  # what a scheduler grants one
TORCH = {"mem_mb": JOB["mem_mb"], "runtime": JOB["runtime"], "gpu": int(config["device"] == "cuda")}
NUMPY = TORCH | {"gpu": 0}
READERS = NUMPY | {"mem_mb": 2000, "runtime": 10}  # tables, figures, texts
PREDICTION_SEEDS = 1000  # added to seeds, so that prediction and measurement share no draw


def parts(pattern, **values):
    return expand(f"{OUT}/parts/{pattern}.csv", **values)


# Points of Paper A: regime -> k, and those that are looked at closely.
SIZES = {"trajectory": A["trajectory"]["k"], "minimisers": A["minimisers"]["k"]}
FOCUS = {"trained": [A["focus"]["k"]], "minimisers": [A["focus"]["k"]]}
CHECKPOINTS = {  # weights at such a point
    "trajectory": f"{OUT}/parts/landscape/weights_trajectory_{{seed}}_{{k}}.safetensors",
    "minimisers": f"{OUT}/parts/landscape/weights_minimisers_{{seed}}_{{k}}.safetensors",
    "trained": f"{OUT}/parts/landscape/model_{{seed}}.safetensors",
}


def points(name, sizes, seeds=A["seeds"]):
    """Parts of a table, one for each point (regime, seed, k)."""
    at = [(regime, seed, k) for regime in sizes for seed in seeds for k in sizes[regime]]
    return [f"{OUT}/parts/landscape/{name}_{regime}_{seed}_{k}.csv" for regime, seed, k in at]


def checkpoint(w):
    return CHECKPOINTS[w.regime].format(seed=w.seed, k=w.k)


def eigenpairs(w):
    """More where the point is looked at closely."""
    close = int(w.k) in FOCUS.get(w.regime, [])
    return A["focus"]["eigenpairs"] if close else max(dims(w))


def dims(w):
    """D of the criteria at a point."""
    wide = w.regime != "trajectory" or int(w.k) <= A["trajectory"]["wide_until"]
    return A["dims"] if wide else A["trajectory"]["narrow_dims"]


def on_paths(name):
    """Parts of a table, one for each path."""
    return [
        f"{OUT}/parts/connectivity/{name}_{v}_{kind}_{pair}.csv"
        for v, kind in CURVES
        for pair in PAIRS
    ]


# table -> the parts it is gathered from
PROFILE = ["curvature", "eigenvalues", "groups"]
TRAJECTORY = {"trajectory": A["spectrum"]["k"]}
TRAINED = {"trained": FOCUS["trained"]}
ARCHITECTURE_TABLES = {  # table -> name of its parts
    "architectures": "summary",
    "architecture_points": "points",
    "architecture_costs": "cost",
}
ARCH_PAIRS = {f"{a}-{b}": (a, b) for a, b in ARCH["paths"]["pairs"]}
TABLES = {
    "training_landscape": parts("landscape/curve_{seed}", seed=A["seeds"]),
    "valley_fits": parts("valley/fits_{seed}", seed=B["valley"]["seeds"]),
    "valley_profile": parts("valley/profile_{seed}", seed=B["valley"]["seeds"]),
    "valley_trajectories": parts("valley/trajectories_{seed}", seed=B["valley"]["seeds"]),
    "training_minima": parts(
        "connectivity/curve_{variant}_{seed}", variant=B["training"], seed=sum(B["pairs"], [])
    ),
    "minima": parts("connectivity/minima_{variant}_{pair}", variant=B["training"], pair=PAIRS),
    "minimisers": parts("landscape/minimisers_{seed}", seed=A["seeds"]),
    "eigenvalues": points("eigenvalues", SIZES),
    "points": points("point", SIZES),
    "criteria": points("criteria", SIZES),
    "terms": points("terms", SIZES),
    "fixed_weights": parts("landscape/fixed_{w}_{seed}", w=["random", "trained"], seed=A["seeds"]),
    "expansion": points("expansion", FOCUS),
    "validity": points("validity", FOCUS),
    "precision": points("precision", FOCUS),
    "estimators": points("estimators", TRAINED),
    "subspaces": points("subspaces", FOCUS),
    "index_sets": points("index_sets", FOCUS),
    "lemma5": points("lemma5", FOCUS),
    "geometry": points("geometry", FOCUS, A["seeds"][:1]),
    "spectrum": points("spectrum", TRAJECTORY),
    "drift": points("drift", TRAJECTORY),
    "eigensolvers": points("eigensolvers", {"trained": [A["eigensolvers"]["k"]]}),
    "published": points("published", {"trained": A["published"]["k"]}),
    "published_eigenvalues": points("published_eigenvalues", {"trained": A["published"]["k"]}),
    "paths": on_paths("path"),
    **{f"path_{name}": on_paths(name) for name in ["losses", *PROFILE]},
    "path_criteria": parts(f"connectivity/criteria_{LOOKED_AT}_{{pair}}", pair=PAIRS),
    "path_spectrum": parts(f"connectivity/spectrum_{LOOKED_AT}_{{pair}}", pair=PAIRS),
    "projected_sgd": parts("connectivity/trajectories_{run}_{pair}", run=RUNS, pair=PAIRS),
    "path_drift": parts("connectivity/drift_{pair}", pair=PAIRS),
    "path_drift_predicted": parts("connectivity/predicted_{pair}", pair=PAIRS),
    "children": parts("connectivity/children_{parent}", parent=PARENTS),
    "children_curvature": parts("connectivity/children_curvature_{parent}", parent=PARENTS),
    "averages": parts("connectivity/averages_{pair}", pair=PAIRS),
    **{
        table: parts(
            f"architectures/{name}_{{model}}_{{seed}}", model=ARCH["models"], seed=ARCH["seeds"]
        )
        for table, name in ARCHITECTURE_TABLES.items()
    },
    **{
        f"architecture_{name}": parts(
            f"architectures/{name}_{{model}}_{{pair}}",
            model=ARCH["paths"]["models"],
            pair=ARCH_PAIRS,
        )
        for name in ["losses", "curvature"]
    },
}
OWN_RULE = ["timing", "accuracy", "slopes", "sequences", "claims"]  # tables made whole
OWN_RULE += ["replicas", "drift_slopes", "drift_velocities", "drift_exponents"]
JUDGED = [
    "criteria",
    "terms",
    "points",
    "slopes",
    "validity",
    "estimators",
    "subspaces",
    "index_sets",
]
JUDGED += ["lemma5", "minimisers", "timing", "accuracy"]
JUDGED += ["valley_fits", "path_losses", "path_curvature", "path_eigenvalues", "path_groups"]
JUDGED += ["path_criteria", "projected_sgd", "drift_slopes", "drift_velocities", "drift_exponents"]
JUDGED += ["children", "children_curvature", "averages", "architectures", "architecture_losses"]
JUDGED += ["architecture_curvature"]
# figure -> (category in the report, tables it is drawn from)
FIGURES = {
    "training": ("Text and models", ["training_landscape", "training_minima"]),
    "decay": ("Paper A", ["criteria", "fixed_weights", "slopes", "validity"]),
    "ratio": ("Paper A", ["criteria", "terms", "validity"]),
    "anatomy": ("Paper A", ["terms", "validity"]),
    "captured": ("Paper A", ["subspaces", "index_sets", "lemma5", "validity"]),
    "expansion": ("Paper A", ["expansion", "validity"]),
    "precision": ("Paper A", ["precision", "validity"]),
    "convergence": ("Paper A", ["estimators"]),
    "error_map": ("Paper A", ["estimators", "validity"]),
    "cost": ("Paper A", ["timing", "accuracy"]),
    "published": ("Paper A", ["published", "published_eigenvalues", "timing"]),
    "spectrum": ("Paper A", ["eigenvalues", "spectrum", "drift"]),
    "eigensolvers": ("Paper A", ["eigensolvers"]),
    "geometry": ("Paper A", ["geometry"]),
    "sequences": ("Paper A", ["sequences"]),
    "architectures": (
        "Paper A",
        ["architectures", "architecture_costs", "architecture_losses", "architecture_curvature"],
    ),
    "valley": ("Paper B", ["valley_fits", "valley_profile", "valley_trajectories"]),
    "path_profile": ("Paper B", ["path_losses", "path_curvature", "paths"]),
    "path_groups": ("Paper B", ["path_groups", "path_curvature"]),
    "path_spectrum": ("Paper B", ["path_spectrum", "path_eigenvalues", "path_curvature"]),
    "path_criteria": ("Paper B", ["path_criteria", "path_curvature"]),
    "projected_sgd": ("Paper B", ["projected_sgd", "path_losses"]),
    "optimisers": ("Paper B", ["projected_sgd", "path_losses"]),
    "unprojected": ("Paper B", ["projected_sgd", "path_losses"]),
    "path_drift": ("Paper B", ["path_drift", "path_drift_predicted", "drift_slopes"]),
    "drift_sweeps": ("Paper B", ["drift_velocities", "drift_exponents"]),
    "branching": ("Paper B", ["children", "children_curvature"]),
    "averages": ("Paper B", ["averages"]),
}
SHOWN_THRESHOLDS = {  # figure -> options of its stage
    "path_profile": f"--low-loss {config['claims']['low_loss']}",
    "path_drift": f"--margin {config['claims']['slope']}",
}
SECTIONS = {  # of the report, with their figures
    section: [f"{FIG}/{name}.svg" for name, (category, _) in FIGURES.items() if category == section]
    for section in ["Paper A", "Paper B", "Text and models"]
}
CATEGORY = {table: category for category, tables in FIGURES.values() for table in tables}
CATEGORY |= {"minimisers": "Paper A", "points": "Paper A", "minima": "Paper B"}
CATEGORY |= {"architecture_points": "Paper A"}
POINT = (  # the options of every stage at a point
    " --threads {threads} {params.problem} --memory-budget {params.memory} --data-seed {wildcards.seed}"
    " --tokens {input.tokens:q} --checkpoint {input.checkpoint:q} --k {wildcards.k}"
)


ARCHITECTURE = (  # the options of every stage on an architecture
    " --threads {threads} --device {params.device} --name {wildcards.model} {params.model}"
    " --tokens {input.tokens:q} --memory-budget {params.memory} --training {params.training:q}"
)
PATH = (  # the options of every stage on a path
    " --threads {threads} {params.problem} --memory-budget {params.memory} --tokens {input.tokens:q}"
    " --path {input.path:q} --pair {wildcards.pair} --seed {params.seed}"
)
PATH_FILE = f"{OUT}/parts/connectivity/path_{LOOKED_AT}_{{pair}}.safetensors"
LOOKED_AT_OPTIONS = " --variant {} --kind {}".format(*LOOKED_AT.split("_"))


def seed_of_pair(w):
    return PAIRS[w.pair][0]


def parent_of(w):
    """The family whose children are evaluated beside a pair's path: one each."""
    return PARENTS[list(PAIRS).index(w.pair)]


wildcard_constraints:
    seed="|".join(
        map(str, {*A["seeds"], *sum(B["pairs"], []), *B["valley"]["seeds"], *ARCH["seeds"]})
    ),
    model="|".join(ARCH["models"]),
    k="[0-9]+",
    parent="|".join(map(str, PARENTS)),
    regime="|".join(CHECKPOINTS),
    pair="|".join({**PAIRS, **ARCH_PAIRS}),
    variant="|".join(B["training"]),
    kind="straight|bezier|polygon|autoneb",
    run="|".join(RUNS),
    table="|".join(TABLES),
    figure="|".join(FIGURES),
    weights="random|trained",


localrules:
    all,
    fetch_corpus,  # compute nodes often have no network


onstart:
    # Only the configuration of the reference run has known costs.
    known = Path(workflow.basedir) / "results/reference/costs.csv" if OUT == "results" else None
    print(plan([job.rule.name for job in workflow.dag.needrun_jobs()], workflow.cores, known))


onsuccess:
    if Path(f"{OUT}/report.html").exists():
        print(outcome(Path(f"{OUT}/claims.csv"), Path(f"{OUT}/report.html")))


rule all:
    """Every table and figure of the configured run."""
    default_target: True
    input:
        expand("{out}/{table}.csv", out=OUT, table=[*TABLES, *OWN_RULE]),
        expand("{fig}/{name}.{ext}", fig=FIG, name=FIGURES, ext=["pdf", "svg", "png"]),
        f"{OUT}/report.html",
        expand(f"{OUT}/tables/{{name}}.{{ext}}", name=["claims", "table3"], ext=["csv", "tex"]),


# ---------------------------------------------------------------- text and tokens


rule fetch_corpus:
    """Fetch and check the plays, or read a local text; hold out whole documents."""
    input:
        text=DATA["text"] or [],
    output:
        folder=directory(f"{OUT}/corpus/documents"),
        manifest=report(
            f"{OUT}/corpus/manifest.csv",
            caption="captions/table.rst",
            category="Text and models",
            labels={"what": "manifest", "kind": "table"},
        ),
    log:
        f"{OUT}/logs/fetch_corpus/all.log",
    benchmark:
        f"{OUT}/benchmarks/fetch_corpus/all.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **READERS,
    params:
        code=digest_of("fetch_corpus"),
        source=corpus_source(DATA),
    shell:
        "python src/fetch_corpus.py {params.source} --folder {output.folder:q}"
        " --manifest {output.manifest:q} 2>&1 | tee {log:q}"


rule train_tokenizer:
    """Learn a byte-level BPE on the training documents."""
    input:
        folder=rules.fetch_corpus.output.folder,
        manifest=rules.fetch_corpus.output.manifest,
    output:
        ranks=f"{OUT}/corpus/tokenizer.tiktoken",
        description=f"{OUT}/corpus/tokenizer.json",
    log:
        f"{OUT}/logs/train_tokenizer/all.log",
    benchmark:
        f"{OUT}/benchmarks/train_tokenizer/all.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **NUMPY,
    params:
        code=digest_of("train_tokenizer"),
        vocab_size=DATA["vocab_size"],
    shell:
        "python src/train_tokenizer.py --folder {input.folder:q} --manifest {input.manifest:q}"
        " --vocab-size {params.vocab_size} --out {output.ranks:q} 2>&1 | tee {log:q}"


rule encode_corpus:
    """Turn both splits into tokens."""
    input:
        folder=rules.fetch_corpus.output.folder,
        manifest=rules.fetch_corpus.output.manifest,
        ranks=rules.train_tokenizer.output.ranks,
    output:
        tokens=f"{OUT}/corpus/tokens.safetensors",
        meta=f"{OUT}/corpus/tokens.safetensors.json",
    log:
        f"{OUT}/logs/encode_corpus/all.log",
    benchmark:
        f"{OUT}/benchmarks/encode_corpus/all.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **NUMPY,
    params:
        code=digest_of("encode_corpus"),
    shell:
        "python src/encode_corpus.py --folder {input.folder:q} --manifest {input.manifest:q}"
        " --tokenizer {input.ranks:q} --out {output.tokens:q} 2>&1 | tee {log:q}"


# ---------------------------------------------------------------- Paper A: increments of the landscape


rule train_language_model:
    """Train on one pass over sequences in seeded order; the first k of them make L_k."""
    input:
        tokens=rules.encode_corpus.output.tokens,
    output:
        checkpoint=f"{OUT}/parts/landscape/model_{{seed}}.safetensors",
        meta=f"{OUT}/parts/landscape/model_{{seed}}.safetensors.json",
        snapshots=expand(CHECKPOINTS["trajectory"], k=SIZES["trajectory"], allow_missing=True),
        curve=f"{OUT}/parts/landscape/curve_{{seed}}.csv",
    log:
        f"{OUT}/logs/train_language_model/{{seed}}.log",
    benchmark:
        f"{OUT}/benchmarks/train_language_model/{{seed}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("train_model"),
        problem=PROBLEM_A,
        training=as_json(A["training"]),
        k=SIZES["trajectory"],
    shell:
        "python src/train_model.py --threads {threads} {params.problem}"
        " --data-seed {wildcards.seed} --tokens {input.tokens:q}"
        " --seed {wildcards.seed} --training {params.training:q} --snapshot-at {params.k}"
        " --snapshots {output.snapshots:q} --checkpoint {output.checkpoint:q} --curve {output.curve:q}"
        " 2>&1 | tee {log:q}"


rule find_minimisers:
    """Sequential minimisers of L_k plus a ridge around weights trained on other sequences."""
    input:
        tokens=rules.encode_corpus.output.tokens,
    output:
        checkpoints=expand(CHECKPOINTS["minimisers"], k=SIZES["minimisers"], allow_missing=True),
        table=f"{OUT}/parts/landscape/minimisers_{{seed}}.csv",
    log:
        f"{OUT}/logs/find_minimisers/{{seed}}.log",
    benchmark:
        f"{OUT}/benchmarks/find_minimisers/{{seed}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("find_minimisers"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        training=as_json(A["training"]),
        solver=as_json(A["minimisers"]["solver"]),
        centre_from=A["minimisers"]["centre_from"],
        k=SIZES["minimisers"],
    shell:
        "python src/find_minimisers.py --threads {threads} {params.problem}"
        " --memory-budget {params.memory} --data-seed {wildcards.seed} --tokens {input.tokens:q}"
        " --centre-from {params.centre_from} --training {params.training:q} --solver {params.solver:q}"
        " --k {params.k} --checkpoints {output.checkpoints:q} --table {output.table:q} 2>&1 | tee {log:q}"


rule find_eigenpairs:
    """Leading eigenpairs of H^(k) at the point."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=checkpoint,
    output:
        eigen=f"{OUT}/parts/landscape/eigen_{{regime}}_{{seed}}_{{k}}.safetensors",
        meta=f"{OUT}/parts/landscape/eigen_{{regime}}_{{seed}}_{{k}}.safetensors.json",
        table=f"{OUT}/parts/landscape/eigenvalues_{{regime}}_{{seed}}_{{k}}.csv",
    log:
        f"{OUT}/logs/find_eigenpairs/{{regime}}_{{seed}}_{{k}}.log",
    benchmark:
        f"{OUT}/benchmarks/find_eigenpairs/{{regime}}_{{seed}}_{{k}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("find_eigenpairs"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        eigenpairs=eigenpairs,
        tolerance=A["tolerance"],
    shell:
        "python src/find_eigenpairs.py"
        + POINT
        + " --regime {wildcards.regime} --count {params.eigenpairs}"
        " --tolerance {params.tolerance} --out {output.eigen:q} --table {output.table:q} 2>&1 | tee {log:q}"


rule estimate_criteria:
    """Δ₁, Δ₂ and Δ₂^(D) by every estimator over a grid of D and σ, and their terms."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=checkpoint,
        eigen=f"{OUT}/parts/landscape/eigen_{{regime}}_{{seed}}_{{k}}.safetensors",
    output:
        estimates=f"{OUT}/parts/landscape/criteria_{{regime}}_{{seed}}_{{k}}.csv",
        terms=f"{OUT}/parts/landscape/terms_{{regime}}_{{seed}}_{{k}}.csv",
        point=f"{OUT}/parts/landscape/point_{{regime}}_{{seed}}_{{k}}.csv",
    log:
        f"{OUT}/logs/estimate_criteria/{{regime}}_{{seed}}_{{k}}.log",
    benchmark:
        f"{OUT}/benchmarks/estimate_criteria/{{regime}}_{{seed}}_{{k}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("estimate_criteria"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        candidates=A["candidates"],
        draws=A["candidate_draws"],
        dims=dims,
        sigmas=A["sigmas"],
        samples=A["samples"],
    shell:
        "python src/estimate_criteria.py"
        + POINT
        + " --regime {wildcards.regime} --eigen {input.eigen:q}"
        " --candidates {params.candidates} --candidate-draws {params.draws} --dims {params.dims} --sigmas {params.sigmas}"
        " --samples {params.samples} --estimates {output.estimates:q} --terms {output.terms:q}"
        " --point {output.point:q} 2>&1 | tee {log:q}"


rule estimate_fixed_weights:
    """Control of the decay: weights that do not depend on k, drawn or at the end of training."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=lambda w: (
            CHECKPOINTS["trained"].format(seed=w.seed) if w.regime == "trained" else []
        ),
    output:
        f"{OUT}/parts/landscape/fixed_{{regime}}_{{seed}}.csv",
    log:
        f"{OUT}/logs/estimate_fixed_weights/{{regime}}_{{seed}}.log",
    benchmark:
        f"{OUT}/benchmarks/estimate_fixed_weights/{{regime}}_{{seed}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("estimate_fixed_weights"),
        problem=PROBLEM_A,
        checkpoint=lambda w, input: f"--checkpoint {input.checkpoint}" if input.checkpoint else "",
        k=SIZES["trajectory"],
        candidates=A["candidates"],
        sigmas=middle(A["sigmas"]),  # one is enough for a control
        samples=A["samples"],
    shell:
        "python src/estimate_fixed_weights.py --threads {threads} {params.problem}"
        " --data-seed {wildcards.seed} --tokens {input.tokens:q} {params.checkpoint}"
        " --regime {wildcards.regime} --k {params.k} --candidates {params.candidates}"
        " --sigmas {params.sigmas} --samples {params.samples} --out {output:q} 2>&1 | tee {log:q}"


rule measure_expansion:
    """Error of the quadratic model against σ in three precisions, σ*, and Fig. 3's ratio in each."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=checkpoint,
        eigen=f"{OUT}/parts/landscape/eigen_{{regime}}_{{seed}}_{{k}}.safetensors",
    output:
        errors=f"{OUT}/parts/landscape/expansion_{{regime}}_{{seed}}_{{k}}.csv",
        validity=f"{OUT}/parts/landscape/validity_{{regime}}_{{seed}}_{{k}}.csv",
        moments=f"{OUT}/parts/landscape/precision_{{regime}}_{{seed}}_{{k}}.csv",
    log:
        f"{OUT}/logs/measure_expansion/{{regime}}_{{seed}}_{{k}}.log",
    benchmark:
        f"{OUT}/benchmarks/measure_expansion/{{regime}}_{{seed}}_{{k}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("measure_expansion"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        limit=A["focus"]["validity_limit"],
        expansion=as_json(A["focus"]["expansion"]),
        precision=as_json(A["focus"]["precision"]),
    shell:
        "python src/measure_expansion.py"
        + POINT
        + " --regime {wildcards.regime} --eigen {input.eigen:q}"
        " --limit {params.limit} --expansion {params.expansion:q} --precision {params.precision:q}"
        " --errors {output.errors:q} --validity {output.validity:q} --moments {output.moments:q}"
        " 2>&1 | tee {log:q}"


rule compare_estimators:
    """Both Monte Carlo estimators against the closed form, over D, σ and S."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=checkpoint,
        eigen=f"{OUT}/parts/landscape/eigen_{{regime}}_{{seed}}_{{k}}.safetensors",
    output:
        f"{OUT}/parts/landscape/estimators_{{regime}}_{{seed}}_{{k}}.csv",
    log:
        f"{OUT}/logs/compare_estimators/{{regime}}_{{seed}}_{{k}}.log",
    benchmark:
        f"{OUT}/benchmarks/compare_estimators/{{regime}}_{{seed}}_{{k}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("compare_estimators"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        grid=ordered(A["focus"]["estimators"]),
    shell:
        "python src/compare_estimators.py"
        + POINT
        + " --regime {wildcards.regime} --eigen {input.eigen:q}"
        " --dims {params.grid[dims]} --sigmas {params.grid[sigmas]} --counts {params.grid[counts]}"
        " --out {output:q} 2>&1 | tee {log:q}"


rule compare_subspaces:
    """What other subspaces see of the same increment; random sets of eigenvectors; Lemma 5's assumptions."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=checkpoint,
        eigen=f"{OUT}/parts/landscape/eigen_{{regime}}_{{seed}}_{{k}}.safetensors",
    output:
        subspaces=f"{OUT}/parts/landscape/subspaces_{{regime}}_{{seed}}_{{k}}.csv",
        index_sets=f"{OUT}/parts/landscape/index_sets_{{regime}}_{{seed}}_{{k}}.csv",
        lemma5=f"{OUT}/parts/landscape/lemma5_{{regime}}_{{seed}}_{{k}}.csv",
    log:
        f"{OUT}/logs/compare_subspaces/{{regime}}_{{seed}}_{{k}}.log",
    benchmark:
        f"{OUT}/benchmarks/compare_subspaces/{{regime}}_{{seed}}_{{k}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("compare_subspaces"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        grid=ordered(A["focus"]["subspaces"]),
    shell:
        "python src/compare_subspaces.py"
        + POINT
        + " --regime {wildcards.regime} --eigen {input.eigen:q}"
        " --dims {params.grid[dims]} --sigmas {params.grid[sigmas]} --sets {params.grid[sets]}"
        " --batch {params.grid[batch]} --draws {params.grid[draws]} --tolerance {params.grid[tolerance]}"
        " --subspaces {output.subspaces:q} --index-sets {output.index_sets:q} --lemma5 {output.lemma5:q}"
        " 2>&1 | tee {log:q}"


rule map_geometry:
    """δ_k and its quadratic model on the plane of the two leading eigenvectors."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=checkpoint,
        eigen=f"{OUT}/parts/landscape/eigen_{{regime}}_{{seed}}_{{k}}.safetensors",
    output:
        f"{OUT}/parts/landscape/geometry_{{regime}}_{{seed}}_{{k}}.csv",
    log:
        f"{OUT}/logs/map_geometry/{{regime}}_{{seed}}_{{k}}.log",
    benchmark:
        f"{OUT}/benchmarks/map_geometry/{{regime}}_{{seed}}_{{k}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("map_geometry"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        geometry=options(A["focus"]["geometry"]),
    shell:
        "python src/map_geometry.py"
        + POINT
        + " --regime {wildcards.regime} --eigen {input.eigen:q}"
        " {params.geometry} --out {output:q} 2>&1 | tee {log:q}"


rule measure_spectrum:
    """Spectral density of H^(k), and how its top eigenspace turns from k to k + 1 and 2k."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=checkpoint,
        eigen=f"{OUT}/parts/landscape/eigen_{{regime}}_{{seed}}_{{k}}.safetensors",
        moved=lambda w: f"{OUT}/parts/landscape/eigen_{w.regime}_{w.seed}_{2 * int(w.k)}.safetensors",
    output:
        density=f"{OUT}/parts/landscape/spectrum_{{regime}}_{{seed}}_{{k}}.csv",
        drift=f"{OUT}/parts/landscape/drift_{{regime}}_{{seed}}_{{k}}.csv",
    log:
        f"{OUT}/logs/measure_spectrum/{{regime}}_{{seed}}_{{k}}.log",
    benchmark:
        f"{OUT}/benchmarks/measure_spectrum/{{regime}}_{{seed}}_{{k}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("measure_spectrum"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        grid=ordered(A["spectrum"]),
        tolerance=A["tolerance"],
    shell:
        "python src/measure_spectrum.py"
        + POINT
        + " --regime {wildcards.regime} --eigen {input.eigen:q}"
        " --moved-eigen {input.moved:q} --dims {params.grid[dims]} --steps {params.grid[steps]}"
        " --probes {params.grid[probes]} --width {params.grid[width]} --points {params.grid[points]}"
        " --tolerance {params.tolerance} --density {output.density:q} --drift {output.drift:q}"
        " 2>&1 | tee {log:q}"


rule compare_eigensolvers:
    """Residual against products for each eigensolver."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=checkpoint,
    output:
        f"{OUT}/parts/landscape/eigensolvers_{{regime}}_{{seed}}_{{k}}.csv",
    log:
        f"{OUT}/logs/compare_eigensolvers/{{regime}}_{{seed}}_{{k}}.log",
    benchmark:
        f"{OUT}/benchmarks/compare_eigensolvers/{{regime}}_{{seed}}_{{k}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("compare_eigensolvers"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        grid=ordered(A["eigensolvers"]),
    shell:
        "python src/compare_eigensolvers.py"
        + POINT
        + " --regime {wildcards.regime} --count {params.grid[count]} --tolerances {params.grid[tolerances]}"
        " --steps {params.grid[steps]} --out {output:q} 2>&1 | tee {log:q}"


rule compare_procedures:
    """The published procedure, errors included, beside the corrected one."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=checkpoint,
    output:
        table=f"{OUT}/parts/landscape/published_{{regime}}_{{seed}}_{{k}}.csv",
        eigenvalues=f"{OUT}/parts/landscape/published_eigenvalues_{{regime}}_{{seed}}_{{k}}.csv",
    log:
        f"{OUT}/logs/compare_procedures/{{regime}}_{{seed}}_{{k}}.log",
    benchmark:
        f"{OUT}/benchmarks/compare_procedures/{{regime}}_{{seed}}_{{k}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("compare_procedures"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        grid=ordered(A["published"]),
        tolerance=A["tolerance"],
    shell:
        "python src/compare_procedures.py"
        + POINT
        + " --regime {wildcards.regime} --dim {params.grid[dim]}"
        " --steps {params.grid[steps]} --sigma {params.grid[sigma]} --samples {params.grid[samples]}"
        " --tolerance {params.tolerance} --out {output.table:q} --eigenvalues {output.eigenvalues:q}"
        " 2>&1 | tee {log:q}"


rule time_estimators:
    """Seconds of each stage of Δ₂^(D), ours and published, alone on all cores."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=CHECKPOINTS["trained"].format(seed=A["seeds"][0]),
    output:
        timing=report(
            f"{OUT}/timing.csv",
            caption="captions/table.rst",
            category="Paper A",
            labels={"what": "timing", "kind": "table"},
        ),
        accuracy=report(
            f"{OUT}/accuracy.csv",
            caption="captions/table.rst",
            category="Paper A",
            labels={"what": "accuracy", "kind": "table"},
        ),
    log:
        f"{OUT}/logs/time_estimators/all.log",
    benchmark:
        f"{OUT}/benchmarks/time_estimators/all.tsv"
    conda:
        "envs/environment.yaml"
    threads: workflow.cores
    resources:
        **TORCH,
    params:
        code=digest_of("time_estimators"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        seed=A["seeds"][0],
        timing=ordered(A["timing"]),
        steps=A["published"]["steps"],
        sigmas=A["sigmas"],
        tolerance=A["tolerance"],
    shell:
        "python src/time_estimators.py --threads {threads} {params.problem}"
        " --memory-budget {params.memory} --data-seed {params.seed} --tokens {input.tokens:q}"
        " --checkpoint {input.checkpoint:q} --k {params.timing[k]} --dim {params.timing[dim]}"
        " --steps {params.steps} --sigmas {params.sigmas} --samples {params.timing[samples]}"
        " --tolerance {params.tolerance} --repeats {params.timing[repeats]} --out {output.timing:q}"
        " --accuracy {output.accuracy:q} 2>&1 | tee {log:q}"


rule study_architecture:
    """Paper A's measurements on another architecture, from its training to one row of a table."""
    input:
        tokens=rules.encode_corpus.output.tokens,
    output:
        points=f"{OUT}/parts/architectures/points_{{model}}_{{seed}}.csv",
        summary=f"{OUT}/parts/architectures/summary_{{model}}_{{seed}}.csv",
        cost=f"{OUT}/parts/architectures/cost_{{model}}_{{seed}}.csv",
    log:
        f"{OUT}/logs/study_architecture/{{model}}_{{seed}}.log",
    benchmark:
        f"{OUT}/benchmarks/study_architecture/{{model}}_{{seed}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("study_architecture"),
        device=config["device"],
        model=lambda w: architecture(config, w.model, ARCH["samples"]),
        memory=config["memory_budget"],
        training=lambda w: as_json(ARCH["training"][task(ARCH["models"][w.model])]),
        study=as_json(ARCH["study"]),
    shell:
        "python src/study_architecture.py"
        + ARCHITECTURE
        + " --seed {wildcards.seed} --study {params.study:q}"
        " --points {output.points:q} --summary {output.summary:q} --cost {output.cost:q} 2>&1 | tee {log:q}"


rule trace_architecture:
    """Paper B's rise of curvature on another architecture: two minima, a path, loss and curvature on it."""
    input:
        tokens=rules.encode_corpus.output.tokens,
    output:
        losses=f"{OUT}/parts/architectures/losses_{{model}}_{{pair}}.csv",
        curvature=f"{OUT}/parts/architectures/curvature_{{model}}_{{pair}}.csv",
    log:
        f"{OUT}/logs/trace_architecture/{{model}}_{{pair}}.log",
    benchmark:
        f"{OUT}/benchmarks/trace_architecture/{{model}}_{{pair}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("trace_architecture"),
        device=config["device"],
        model=lambda w: architecture(config, w.model, ARCH["paths"]["samples"]),
        memory=config["memory_budget"],
        training=as_json(ARCH["paths"]["training"]),
        pair=lambda w: ARCH_PAIRS[w.pair],
        data_seed=B["data_seed"],
        descent=as_json(ARCH["paths"]["descent"]),
        neb=as_json(ARCH["paths"]["neb"]),
        profile=options(ARCH["paths"]["profile"]),
    shell:
        "python src/trace_architecture.py"
        + ARCHITECTURE
        + " --pair {params.pair} --data-seed {params.data_seed} --descent {params.descent:q}"
        " --neb {params.neb:q} {params.profile} --losses {output.losses:q} --curvature {output.curvature:q}"
        " 2>&1 | tee {log:q}"


rule fit_decay:
    """How the criteria fall with k, and how many sequences that makes until one more changes little."""
    input:
        criteria=f"{OUT}/criteria.csv",
        points=f"{OUT}/points.csv",
        fixed=f"{OUT}/fixed_weights.csv",
    output:
        slopes=report(
            f"{OUT}/slopes.csv",
            caption="captions/table.rst",
            category="Paper A",
            labels={"what": "slopes", "kind": "table"},
        ),
        sequences=report(
            f"{OUT}/sequences.csv",
            caption="captions/table.rst",
            category="Paper A",
            labels={"what": "sequences", "kind": "table"},
        ),
    log:
        f"{OUT}/logs/fit_decay/all.log",
    benchmark:
        f"{OUT}/benchmarks/fit_decay/all.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **READERS,
    params:
        code=digest_of("fit_decay"),
        epsilons=A["epsilons"],
    shell:
        "python src/fit_decay.py --criteria {input.criteria:q} --points {input.points:q}"
        " --fixed-weights {input.fixed:q} --epsilons {params.epsilons} --slopes {output.slopes:q}"
        " --sequences {output.sequences:q} 2>&1 | tee {log:q}"


# ---------------------------------------------------------------- Paper B: paths between minima


rule simulate_valley:
    """Brownian particles in the toy valley: its effective potential."""
    output:
        fits=f"{OUT}/parts/valley/fits_{{seed}}.csv",
        profile=f"{OUT}/parts/valley/profile_{{seed}}.csv",
        trajectories=f"{OUT}/parts/valley/trajectories_{{seed}}.csv",
    log:
        f"{OUT}/logs/simulate_valley/{{seed}}.log",
    benchmark:
        f"{OUT}/benchmarks/simulate_valley/{{seed}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **NUMPY,
    params:
        code=digest_of("simulate_valley"),
        valley=as_json(B["valley"]["settings"]),
    shell:
        "python src/simulate_valley.py --threads {threads} --seed {wildcards.seed} --valley {params.valley:q}"
        " --fits {output.fits:q} --profile {output.profile:q} --trajectories {output.trajectories:q}"
        " 2>&1 | tee {log:q}"


rule train_minimum:
    """Train to the loss floor on a small subset, the same for all seeds."""
    input:
        tokens=rules.encode_corpus.output.tokens,
    output:
        checkpoint=f"{OUT}/parts/connectivity/minimum_{{variant}}_{{seed}}.safetensors",
        meta=f"{OUT}/parts/connectivity/minimum_{{variant}}_{{seed}}.safetensors.json",
        curve=f"{OUT}/parts/connectivity/curve_{{variant}}_{{seed}}.csv",
    log:
        f"{OUT}/logs/train_minimum/{{variant}}_{{seed}}.log",
    benchmark:
        f"{OUT}/benchmarks/train_minimum/{{variant}}_{{seed}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("train_model"),
        problem=PROBLEM_B,
        training=lambda w: as_json(B["training"][w.variant]),
    shell:
        "python src/train_model.py --threads {threads} {params.problem} --tokens {input.tokens:q}"
        " --seed {wildcards.seed} --training {params.training:q} --variant {wildcards.variant}"
        " --checkpoint {output.checkpoint:q} --curve {output.curve:q} 2>&1 | tee {log:q}"


rule relax_minima:
    """Relax both ends as the points of a path will be; how low, flat and stationary they are."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        ends=lambda w: [
            f"{OUT}/parts/connectivity/minimum_{w.variant}_{seed}.safetensors"
            for seed in PAIRS[w.pair]
        ],
    output:
        ends=f"{OUT}/parts/connectivity/ends_{{variant}}_{{pair}}.safetensors",
        meta=f"{OUT}/parts/connectivity/ends_{{variant}}_{{pair}}.safetensors.json",
        table=f"{OUT}/parts/connectivity/minima_{{variant}}_{{pair}}.csv",
    log:
        f"{OUT}/logs/relax_minima/{{variant}}_{{pair}}.log",
    benchmark:
        f"{OUT}/benchmarks/relax_minima/{{variant}}_{{pair}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("relax_minima"),
        problem=PROBLEM_B,
        memory=config["memory_budget"],
        seed=seed_of_pair,
        descent=as_json(B["descent"]),
        probes=B["profile"]["settings"]["probes"],
        tolerance=B["profile"]["settings"]["tolerance"],
    shell:
        "python src/relax_minima.py --threads {threads} {params.problem} --memory-budget {params.memory}"
        " --tokens {input.tokens:q} --ends {input.ends:q} --variant {wildcards.variant} --pair {wildcards.pair}"
        " --descent {params.descent:q} --probes {params.probes} --tolerance {params.tolerance}"
        " --seed {params.seed} --out {output.ends:q} --table {output.table:q} 2>&1 | tee {log:q}"


rule connect_minima:
    """A path between two relaxed minima; an interrupted search goes on where it stopped."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        ends=f"{OUT}/parts/connectivity/ends_{{variant}}_{{pair}}.safetensors",
    output:
        path=f"{OUT}/parts/connectivity/path_{{variant}}_{{kind}}_{{pair}}.safetensors",
        meta=f"{OUT}/parts/connectivity/path_{{variant}}_{{kind}}_{{pair}}.safetensors.json",
        table=f"{OUT}/parts/connectivity/path_{{variant}}_{{kind}}_{{pair}}.csv",
    log:
        f"{OUT}/logs/connect_minima/{{variant}}_{{kind}}_{{pair}}.log",
    benchmark:
        f"{OUT}/benchmarks/connect_minima/{{variant}}_{{kind}}_{{pair}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("connect_minima"),
        problem=PROBLEM_B,
        seed=seed_of_pair,
        descent=as_json(B["descent"]),
        finder=lambda w: as_json(B["finders"].get(w.kind, {})),
    shell:
        "python src/connect_minima.py --threads {threads} {params.problem} --tokens {input.tokens:q}"
        " --ends {input.ends:q} --variant {wildcards.variant} --kind {wildcards.kind} --pair {wildcards.pair}"
        " --finder {params.finder:q} --descent {params.descent:q} --seed {params.seed}"
        " --out {output.path:q} --table {output.table:q} 2>&1 | tee {log:q}"


rule profile_path:
    """Loss, curvature, gradient noise and Paper A's criterion along a path."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        path=f"{OUT}/parts/connectivity/path_{{variant}}_{{kind}}_{{pair}}.safetensors",
    output:
        curvature=f"{OUT}/parts/connectivity/curvature_{{variant}}_{{kind}}_{{pair}}.csv",
        eigenvalues=f"{OUT}/parts/connectivity/eigenvalues_{{variant}}_{{kind}}_{{pair}}.csv",
        groups=f"{OUT}/parts/connectivity/groups_{{variant}}_{{kind}}_{{pair}}.csv",
        losses=f"{OUT}/parts/connectivity/losses_{{variant}}_{{kind}}_{{pair}}.csv",
        criteria=f"{OUT}/parts/connectivity/criteria_{{variant}}_{{kind}}_{{pair}}.csv",
    log:
        f"{OUT}/logs/profile_path/{{variant}}_{{kind}}_{{pair}}.log",
    benchmark:
        f"{OUT}/benchmarks/profile_path/{{variant}}_{{kind}}_{{pair}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("profile_path"),
        problem=PROBLEM_B,
        memory=config["memory_budget"],
        seed=seed_of_pair,
        profile=as_json(B["profile"]["settings"]),
        points=B["profile"]["points"],
        dense=B["profile"]["dense_points"],
        criteria=options(B["criteria"]),
    shell:
        "python src/profile_path.py"
        + PATH
        + " --variant {wildcards.variant} --kind {wildcards.kind} --points {params.points}"
        " --dense-points {params.dense} --profile {params.profile:q} {params.criteria}"
        " --curvature {output.curvature:q} --eigenvalues {output.eigenvalues:q} --groups {output.groups:q}"
        " --losses {output.losses:q} --criteria {output.criteria:q} 2>&1 | tee {log:q}"


rule measure_path_spectrum:
    """Spectral density of the Hessian at some positions."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        path=f"{OUT}/parts/connectivity/path_{{variant}}_{{kind}}_{{pair}}.safetensors",
    output:
        f"{OUT}/parts/connectivity/spectrum_{{variant}}_{{kind}}_{{pair}}.csv",
    log:
        f"{OUT}/logs/measure_path_spectrum/{{variant}}_{{kind}}_{{pair}}.log",
    benchmark:
        f"{OUT}/benchmarks/measure_path_spectrum/{{variant}}_{{kind}}_{{pair}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("measure_path_spectrum"),
        problem=PROBLEM_B,
        memory=config["memory_budget"],
        seed=seed_of_pair,
        spectrum=options(B["spectrum"]),
    shell:
        "python src/measure_path_spectrum.py"
        + PATH
        + " --variant {wildcards.variant} --kind {wildcards.kind} {params.spectrum} --out {output:q}"
        " 2>&1 | tee {log:q}"


rule run_projected_sgd:
    """SGD, its rivals and controls beside the path, projected back to it."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        path=PATH_FILE,
    output:
        f"{OUT}/parts/connectivity/trajectories_{{run}}_{{pair}}.csv",
    log:
        f"{OUT}/logs/run_projected_sgd/{{run}}_{{pair}}.log",
    benchmark:
        f"{OUT}/benchmarks/run_projected_sgd/{{run}}_{{pair}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("run_projected_sgd"),
        problem=PROBLEM_B,
        memory=config["memory_budget"],
        seed=seed_of_pair,
        starts=lambda w: RUNS[w.run]["starts"],
        replicas=lambda w: RUNS[w.run]["replicas"],
        sgd=lambda w: as_json(RUNS[w.run]["sgd"]),
    shell:
        "python src/run_projected_sgd.py"
        + PATH
        + LOOKED_AT_OPTIONS
        + " --run {wildcards.run} --starts {params.starts} --replicas {params.replicas} --sgd {params.sgd:q}"
        " --out {output:q} 2>&1 | tee {log:q}"


rule measure_drift:
    """Displacement along the path in one period of plain SGD, beyond descent."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        path=PATH_FILE,
    output:
        f"{OUT}/parts/connectivity/drift_{{pair}}.csv",
    log:
        f"{OUT}/logs/measure_drift/{{pair}}.log",
    benchmark:
        f"{OUT}/benchmarks/measure_drift/{{pair}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("measure_drift"),
        problem=PROBLEM_B,
        memory=config["memory_budget"],
        seed=seed_of_pair,
        grid=as_json(drift_grid(B["drift"])),
        positions=B["drift"]["positions"],
        followed=B["drift"]["followed"],
    shell:
        "python src/measure_drift.py"
        + PATH
        + LOOKED_AT_OPTIONS
        + " --positions {params.positions} --followed {params.followed}"
        " --grid {params.grid:q} --out {output:q} 2>&1 | tee {log:q}"


rule predict_drift:
    """The same from curvature and gradient noise alone."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        path=PATH_FILE,
    output:
        f"{OUT}/parts/connectivity/predicted_{{pair}}.csv",
    log:
        f"{OUT}/logs/predict_drift/{{pair}}.log",
    benchmark:
        f"{OUT}/benchmarks/predict_drift/{{pair}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("predict_drift"),
        problem=PROBLEM_B,
        memory=config["memory_budget"],
        seed=lambda w: PREDICTION_SEEDS + seed_of_pair(w),
        grid=as_json(prediction_grid(B["drift"])),
        positions=B["drift"]["positions"],
        batches=sorted({B["drift"]["batch"], *B["drift"]["batches"]}),
        probes=B["drift"]["probes"],
    shell:
        "python src/predict_drift.py"
        + PATH
        + LOOKED_AT_OPTIONS
        + " --positions {params.positions} --batches {params.batches} --probes {params.probes}"
        " --grid {params.grid:q} --out {output:q} 2>&1 | tee {log:q}"


rule fit_drift:
    """Slopes, velocities and exponents of measured against predicted drift."""
    input:
        measured=f"{OUT}/path_drift.csv",
        predicted=f"{OUT}/path_drift_predicted.csv",
    output:
        slopes=report(
            f"{OUT}/drift_slopes.csv",
            caption="captions/table.rst",
            category="Paper B",
            labels={"what": "drift_slopes", "kind": "table"},
        ),
        velocities=report(
            f"{OUT}/drift_velocities.csv",
            caption="captions/table.rst",
            category="Paper B",
            labels={"what": "drift_velocities", "kind": "table"},
        ),
        exponents=report(
            f"{OUT}/drift_exponents.csv",
            caption="captions/table.rst",
            category="Paper B",
            labels={"what": "drift_exponents", "kind": "table"},
        ),
    log:
        f"{OUT}/logs/fit_drift/all.log",
    benchmark:
        f"{OUT}/benchmarks/fit_drift/all.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **READERS,
    params:
        code=digest_of("fit_drift"),
    shell:
        "python src/fit_drift.py --measured {input.measured:q} --predicted {input.predicted:q}"
        " --slopes {output.slopes:q} --velocities {output.velocities:q} --exponents {output.exponents:q}"
        " 2>&1 | tee {log:q}"


rule train_families:
    """A parent run and the pairs of children that branch from it."""
    input:
        tokens=rules.encode_corpus.output.tokens,
    output:
        family=f"{OUT}/parts/connectivity/family_{{parent}}.safetensors",
        meta=f"{OUT}/parts/connectivity/family_{{parent}}.safetensors.json",
    log:
        f"{OUT}/logs/train_families/{{parent}}.log",
    benchmark:
        f"{OUT}/benchmarks/train_families/{{parent}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("train_families"),
        problem=PROBLEM_B,
        branching=as_json(B["branching"]["settings"]),
    shell:
        "python src/train_families.py --threads {threads} {params.problem} --tokens {input.tokens:q}"
        " --seed {wildcards.parent} --branching {params.branching:q} --out {output.family:q} 2>&1 | tee {log:q}"


rule compare_children:
    """Losses and curvature on the lines between children and between checkpoints."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        family=rules.train_families.output.family,
    output:
        losses=f"{OUT}/parts/connectivity/children_{{parent}}.csv",
        curvature=f"{OUT}/parts/connectivity/children_curvature_{{parent}}.csv",
    log:
        f"{OUT}/logs/compare_children/{{parent}}.log",
    benchmark:
        f"{OUT}/benchmarks/compare_children/{{parent}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("compare_children"),
        problem=PROBLEM_B,
        memory=config["memory_budget"],
        branches=B["branching"]["settings"]["branches"],
        line=options(B["branching"]["line"]),
    shell:
        "python src/compare_children.py --threads {threads} {params.problem} --memory-budget {params.memory}"
        " --tokens {input.tokens:q} --family {input.family:q} --parent {wildcards.parent}"
        " --branches {params.branches} {params.line} --seed {wildcards.parent}"
        " --losses {output.losses:q} --curvature {output.curvature:q} 2>&1 | tee {log:q}"


rule evaluate_averages:
    """Held-out quality of path interiors and of averages."""
    input:
        tokens=rules.encode_corpus.output.tokens,
        path=PATH_FILE,
        family=lambda w: f"{OUT}/parts/connectivity/family_{parent_of(w)}.safetensors",
    output:
        f"{OUT}/parts/connectivity/averages_{{pair}}.csv",
    log:
        f"{OUT}/logs/evaluate_averages/{{pair}}.log",
    benchmark:
        f"{OUT}/benchmarks/evaluate_averages/{{pair}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **TORCH,
    params:
        code=digest_of("evaluate_averages"),
        problem=PROBLEM_B,
        memory=config["memory_budget"],
        seed=seed_of_pair,
        parent=lambda w: parent_of(w),
        branches=B["branching"]["settings"]["branches"],
        sgd=as_json(B["averages"]["sgd"]),
        probes=B["averages"]["probes"],
    shell:
        "python src/evaluate_averages.py"
        + PATH
        + " --family {input.family:q} --parent {params.parent} --branches {params.branches}"
        " --sgd {params.sgd:q} --probes {params.probes} --out {output:q} 2>&1 | tee {log:q}"


rule time_replicas:
    """A step of many replicas: batched against a loop."""
    input:
        tokens=rules.encode_corpus.output.tokens,
    output:
        report(
            f"{OUT}/replicas.csv",
            caption="captions/table.rst",
            category="Paper B",
            labels={"what": "replicas", "kind": "table"},
        ),
    log:
        f"{OUT}/logs/time_replicas/all.log",
    benchmark:
        f"{OUT}/benchmarks/time_replicas/all.tsv"
    conda:
        "envs/environment.yaml"
    threads: workflow.cores
    resources:
        **TORCH,
    params:
        code=digest_of("time_replicas"),
        problem=PROBLEM_B,
        timing=options(B["timing"]),
    shell:
        "python src/time_replicas.py --threads {threads} {params.problem} --tokens {input.tokens:q}"
        " {params.timing} --out {output:q} 2>&1 | tee {log:q}"


# ---------------------------------------------------------------- claims, tables and figures


rule judge_claims:
    """Verdicts on the ledger's claims."""
    input:
        tables=expand(f"{OUT}/{{table}}.csv", table=JUDGED),
    output:
        claims=report(
            f"{OUT}/claims.csv",
            caption="captions/table.rst",
            category="Claims",
            labels={"what": "claims", "kind": "table"},
        ),
    log:
        f"{OUT}/logs/judge_claims/all.log",
    benchmark:
        f"{OUT}/benchmarks/judge_claims/all.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **READERS,
    params:
        code=digest_of("judge_claims"),
        limits=as_json(config["claims"]),
    shell:
        "python src/judge_claims.py --tables {input.tables:q} --limits {params.limits:q}"
        " --out {output:q} 2>&1 | tee {log:q}"


rule gather_table:
    """One tidy table from the parts of all seeds, sizes or pairs."""
    input:
        parts=lambda w: TABLES[w.table],
    output:
        report(
            f"{OUT}/{{table}}.csv",
            caption="captions/table.rst",
            category=lambda w: CATEGORY[w.table],
            labels={"what": "{table}", "kind": "table"},
        ),
    log:
        f"{OUT}/logs/gather_table/{{table}}.log",
    benchmark:
        f"{OUT}/benchmarks/gather_table/{{table}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **READERS,
    params:
        code=digest_of("gather_table"),
    shell:
        "python src/gather_table.py --tables {input.parts:q} --out {output:q} 2>&1 | tee {log:q}"


rule plot_figure:
    """One figure in three formats, and its caption with the finding."""
    input:
        tables=lambda w: expand(f"{OUT}/{{table}}.csv", table=FIGURES[w.figure][1]),
    output:
        pdf=f"{FIG}/{{figure}}.pdf",
        svg=f"{FIG}/{{figure}}.svg",
        png=report(
            f"{FIG}/{{figure}}.png",
            caption="captions/figure.rst",
            category=lambda w: FIGURES[w.figure][0],
            labels={"what": "{figure}", "kind": "figure"},
        ),
        caption=f"{FIG}/{{figure}}.txt",
    log:
        f"{OUT}/logs/plot_figure/{{figure}}.log",
    benchmark:
        f"{OUT}/benchmarks/plot_figure/{{figure}}.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **READERS,
    params:
        code=lambda w: digest_of(f"plot_{w.figure}"),
        thresholds=lambda w: SHOWN_THRESHOLDS.get(w.figure, ""),
    shell:
        "python src/plot_{wildcards.figure}.py --tables {input.tables:q} {params.thresholds}"
        " --out {output.pdf:q}"
        " 2>&1 | tee {log:q}"


rule write_latex:
    """The tables of the paper in LaTeX and CSV."""
    input:
        claims=rules.judge_claims.output.claims,
        timing=f"{OUT}/timing.csv",
        accuracy=f"{OUT}/accuracy.csv",
    output:
        expand(f"{OUT}/tables/{{name}}.{{ext}}", name=["claims", "table3"], ext=["csv", "tex"]),
    log:
        f"{OUT}/logs/write_latex/all.log",
    benchmark:
        f"{OUT}/benchmarks/write_latex/all.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **READERS,
    params:
        code=digest_of("write_latex"),
        folder=lambda w, output: str(Path(output[0]).parent),
    shell:
        "python src/write_latex.py --claims {input.claims:q} --timing {input.timing:q}"
        " --accuracy {input.accuracy:q} --out {params.folder:q} 2>&1 | tee {log:q}"


rule write_report:
    """One HTML page: headlines, claims, figures, methods, limits, cost, provenance."""
    input:
        template="src/valleyscope/report/templates/report.html.j2",
        claims=rules.judge_claims.output.claims,
        tables=expand(f"{OUT}/{{table}}.csv", table=[*TABLES, *OWN_RULE]),
        figures=expand(f"{FIG}/{{name}}.svg", name=FIGURES),
        captions=expand(f"{FIG}/{{name}}.txt", name=FIGURES),
    output:
        report(
            f"{OUT}/report.html",
            caption="captions/page.rst",
            category="Claims",
            labels={"what": "report", "kind": "page"},
        ),
    log:
        f"{OUT}/logs/write_report/all.log",
    benchmark:
        f"{OUT}/benchmarks/write_report/all.tsv"
    conda:
        "envs/environment.yaml"
    resources:
        **READERS,
    params:
        code=digest_of("write_report"),
        figures=as_json(SECTIONS),
        benchmarks=f"{OUT}/benchmarks",
        settings=as_json(methods(config)),
    shell:
        "python src/write_report.py --claims {input.claims:q} --tables {input.tables:q}"
        " --figures {params.figures:q} --benchmarks {params.benchmarks:q} --settings {params.settings:q}"
        " --out {output:q} 2>&1 | tee {log:q}"
