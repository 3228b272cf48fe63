"""valleyscope: raw text -> tables and figures of both papers. Rules stand in the order of the papers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from _workflow import as_json, corpus_source, options, problem, sources
from valleyscope.configuration import check_config
from valleyscope.errors import InputError


configfile: "configs/default.yaml"


try:
    check_config(config, Path(workflow.basedir) / "configs/schema.yaml")
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
SGD = B["dynamics"]["sgd"]
DRIVES = {  # noise -> settings of that run; batch 0 is the whole data
    "minibatch": SGD,
    "none": {**SGD, "batch": 0, "steps": B["dynamics"]["control_steps"]},
}


def parts(pattern, **values):
    return expand(f"{OUT}/parts/{pattern}.csv", **values)


# table -> the parts it is gathered from
ON_PATHS = {"kind": ["straight", "trained"], "pair": PAIRS}
TABLES = {
    "training_landscape": parts("landscape/curve_{seed}", seed=A["seeds"]),
    "training_minima": parts("connectivity/curve_{seed}", seed=sorted(set(sum(B["pairs"], [])))),
    "eigenvalues": parts("landscape/eigenvalues_{seed}_{k}", seed=A["seeds"], k=A["k"]),
    "criteria": parts("landscape/criteria_{seed}_{k}", seed=A["seeds"], k=A["k"]),
    "terms": parts("landscape/terms_{seed}_{k}", seed=A["seeds"], k=A["k"]),
    "path_curvature": parts("connectivity/curvature_{kind}_{pair}", **ON_PATHS),
    "path_losses": parts("connectivity/losses_{kind}_{pair}", **ON_PATHS),
    "projected_sgd": parts("connectivity/trajectories_{noise}_{pair}", noise=DRIVES, pair=PAIRS),
}
# figure -> (category in the report, tables it is drawn from)
FIGURES = {
    "training": ("Text and models", ["training_landscape", "training_minima"]),
    "eigenvalues": ("Paper A", ["eigenvalues"]),
    "criteria": ("Paper A", ["criteria", "terms"]),
    "cost": ("Paper A", ["timing"]),
    "path_profile": ("Paper B", ["path_losses", "path_curvature"]),
    "projected_sgd": ("Paper B", ["projected_sgd"]),
}
CATEGORY = {table: category for category, tables in FIGURES.values() for table in tables}


wildcard_constraints:
    seed="|".join(str(seed) for seed in {*A["seeds"], *sum(B["pairs"], [])}),
    k="|".join(map(str, A["k"])),
    pair="|".join(PAIRS),
    kind="straight|trained",
    noise="|".join(DRIVES),
    table="|".join(TABLES),
    figure="|".join(FIGURES),


localrules:
    all,


rule all:
    """Every table and figure of the configured run."""
    default_target: True
    input:
        expand("{out}/{table}.csv", out=OUT, table=[*TABLES, "timing"]),
        expand("{fig}/{name}.{ext}", fig=FIG, name=FIGURES, ext=["pdf", "svg", "png"]),


# ---------------------------------------------------------------- text and tokens


rule fetch_corpus:
    """Fetch and check the plays, or read a local text; hold out whole documents."""
    input:
        code=sources("fetch_corpus"),
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
    params:
        source=corpus_source(DATA),
    shell:
        "python src/fetch_corpus.py {params.source} --folder {output.folder:q}"
        " --manifest {output.manifest:q} 2>&1 | tee {log:q}"


rule train_tokenizer:
    """Learn a byte-level BPE on the training documents."""
    input:
        code=sources("train_tokenizer"),
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
    params:
        vocab_size=DATA["vocab_size"],
    shell:
        "python src/train_tokenizer.py --folder {input.folder:q} --manifest {input.manifest:q}"
        " --vocab-size {params.vocab_size} --out {output.ranks:q} 2>&1 | tee {log:q}"


rule encode_corpus:
    """Turn both splits into tokens."""
    input:
        code=sources("encode_corpus"),
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
    shell:
        "python src/encode_corpus.py --folder {input.folder:q} --manifest {input.manifest:q}"
        " --tokenizer {input.ranks:q} --out {output.tokens:q} 2>&1 | tee {log:q}"


# ---------------------------------------------------------------- Paper A: increments of the landscape


rule train_language_model:
    """Train on one pass over sequences in seeded order; the first k of them make L_k."""
    input:
        code=sources("train_model"),
        tokens=rules.encode_corpus.output.tokens,
    output:
        checkpoint=f"{OUT}/parts/landscape/model_{{seed}}.safetensors",
        meta=f"{OUT}/parts/landscape/model_{{seed}}.safetensors.json",
        curve=f"{OUT}/parts/landscape/curve_{{seed}}.csv",
    log:
        f"{OUT}/logs/train_language_model/{{seed}}.log",
    benchmark:
        f"{OUT}/benchmarks/train_language_model/{{seed}}.tsv"
    conda:
        "envs/environment.yaml"
    params:
        problem=PROBLEM_A,
        training=as_json(A["training"]),
    shell:
        "python src/train_model.py --threads {threads} {params.problem}"
        " --data-seed {wildcards.seed} --tokens {input.tokens:q}"
        " --seed {wildcards.seed} --training {params.training:q}"
        " --checkpoint {output.checkpoint:q} --curve {output.curve:q} 2>&1 | tee {log:q}"


rule find_eigenpairs:
    """Leading eigenpairs of H^(k) at the trained weights."""
    input:
        code=sources("find_eigenpairs"),
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=rules.train_language_model.output.checkpoint,
    output:
        eigen=f"{OUT}/parts/landscape/eigen_{{seed}}_{{k}}.safetensors",
        meta=f"{OUT}/parts/landscape/eigen_{{seed}}_{{k}}.safetensors.json",
        table=f"{OUT}/parts/landscape/eigenvalues_{{seed}}_{{k}}.csv",
    log:
        f"{OUT}/logs/find_eigenpairs/{{seed}}_{{k}}.log",
    benchmark:
        f"{OUT}/benchmarks/find_eigenpairs/{{seed}}_{{k}}.tsv"
    conda:
        "envs/environment.yaml"
    params:
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        eigenpairs=A["eigenpairs"],
        tolerance=A["tolerance"],
    shell:
        "python src/find_eigenpairs.py --threads {threads} {params.problem}"
        " --memory-budget {params.memory}"
        " --data-seed {wildcards.seed} --tokens {input.tokens:q}"
        " --checkpoint {input.checkpoint:q} --k {wildcards.k} --count {params.eigenpairs}"
        " --tolerance {params.tolerance} --out {output.eigen:q} --table {output.table:q}"
        " 2>&1 | tee {log:q}"


rule estimate_criteria:
    """Δ₂^(D) by closed form, quadratic and direct Monte Carlo over a grid of D and σ."""
    input:
        code=sources("estimate_criteria"),
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=rules.train_language_model.output.checkpoint,
        eigen=rules.find_eigenpairs.output.eigen,
    output:
        estimates=f"{OUT}/parts/landscape/criteria_{{seed}}_{{k}}.csv",
        terms=f"{OUT}/parts/landscape/terms_{{seed}}_{{k}}.csv",
    log:
        f"{OUT}/logs/estimate_criteria/{{seed}}_{{k}}.log",
    benchmark:
        f"{OUT}/benchmarks/estimate_criteria/{{seed}}_{{k}}.tsv"
    conda:
        "envs/environment.yaml"
    params:
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        dims=A["dims"],
        sigmas=A["sigmas"],
        samples=A["samples"],
    shell:
        "python src/estimate_criteria.py --threads {threads} {params.problem}"
        " --memory-budget {params.memory}"
        " --data-seed {wildcards.seed} --tokens {input.tokens:q}"
        " --checkpoint {input.checkpoint:q} --eigen {input.eigen:q} --k {wildcards.k}"
        " --dims {params.dims} --sigmas {params.sigmas} --samples {params.samples}"
        " --estimates {output.estimates:q} --terms {output.terms:q} 2>&1 | tee {log:q}"


rule time_estimators:
    """Seconds of each stage of Δ₂^(D), alone on all cores."""
    input:
        code=sources("time_estimators"),
        tokens=rules.encode_corpus.output.tokens,
        checkpoint=f"{OUT}/parts/landscape/model_{A['seeds'][0]}.safetensors",
    output:
        report(
            f"{OUT}/timing.csv",
            caption="captions/table.rst",
            category="Paper A",
            labels={"what": "timing", "kind": "table"},
        ),
    log:
        f"{OUT}/logs/time_estimators/all.log",
    benchmark:
        f"{OUT}/benchmarks/time_estimators/all.tsv"
    conda:
        "envs/environment.yaml"
    threads: workflow.cores
    params:
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        seed=A["seeds"][0],
        timing=options(A["timing"]),
        samples=A["samples"],
        tolerance=A["tolerance"],
    shell:
        "python src/time_estimators.py --threads {threads} {params.problem}"
        " --memory-budget {params.memory}"
        " --data-seed {params.seed} --tokens {input.tokens:q}"
        " --checkpoint {input.checkpoint:q} {params.timing} --samples {params.samples}"
        " --tolerance {params.tolerance} --out {output:q} 2>&1 | tee {log:q}"


# ---------------------------------------------------------------- Paper B: paths between minima


rule train_minimum:
    """Train to the loss floor on a small subset, the same for all seeds."""
    input:
        code=sources("train_model"),
        tokens=rules.encode_corpus.output.tokens,
    output:
        checkpoint=f"{OUT}/parts/connectivity/minimum_{{seed}}.safetensors",
        meta=f"{OUT}/parts/connectivity/minimum_{{seed}}.safetensors.json",
        curve=f"{OUT}/parts/connectivity/curve_{{seed}}.csv",
    log:
        f"{OUT}/logs/train_minimum/{{seed}}.log",
    benchmark:
        f"{OUT}/benchmarks/train_minimum/{{seed}}.tsv"
    conda:
        "envs/environment.yaml"
    params:
        problem=PROBLEM_B,
        training=as_json(B["training"]),
    shell:
        "python src/train_model.py --threads {threads} {params.problem}"
        " --tokens {input.tokens:q}"
        " --seed {wildcards.seed} --training {params.training:q}"
        " --checkpoint {output.checkpoint:q} --curve {output.curve:q} 2>&1 | tee {log:q}"


rule connect_minima:
    """The straight line and a trained low-loss polygon between two minima."""
    input:
        code=sources("connect_minima"),
        tokens=rules.encode_corpus.output.tokens,
        ends=lambda w: [
            f"{OUT}/parts/connectivity/minimum_{seed}.safetensors" for seed in PAIRS[w.pair]
        ],
    output:
        straight=f"{OUT}/parts/connectivity/path_straight_{{pair}}.safetensors",
        trained=f"{OUT}/parts/connectivity/path_trained_{{pair}}.safetensors",
        meta=multiext(
            f"{OUT}/parts/connectivity/path_",
            "straight_{pair}.safetensors.json",
            "trained_{pair}.safetensors.json",
        ),
    log:
        f"{OUT}/logs/connect_minima/{{pair}}.log",
    benchmark:
        f"{OUT}/benchmarks/connect_minima/{{pair}}.tsv"
    conda:
        "envs/environment.yaml"
    params:
        problem=PROBLEM_B,
        seed=lambda w: PAIRS[w.pair][0],
        polygon=as_json(B["polygon"]),
    shell:
        "python src/connect_minima.py --threads {threads} {params.problem}"
        " --tokens {input.tokens:q}"
        " --ends {input.ends:q} --seed {params.seed} --polygon {params.polygon:q}"
        " --straight {output.straight:q} --trained {output.trained:q} 2>&1 | tee {log:q}"


rule profile_path:
    """Loss, Tr H and the largest eigenvalue along a path."""
    input:
        code=sources("profile_path"),
        tokens=rules.encode_corpus.output.tokens,
        path=f"{OUT}/parts/connectivity/path_{{kind}}_{{pair}}.safetensors",
    output:
        curvature=f"{OUT}/parts/connectivity/curvature_{{kind}}_{{pair}}.csv",
        losses=f"{OUT}/parts/connectivity/losses_{{kind}}_{{pair}}.csv",
    log:
        f"{OUT}/logs/profile_path/{{kind}}_{{pair}}.log",
    benchmark:
        f"{OUT}/benchmarks/profile_path/{{kind}}_{{pair}}.tsv"
    conda:
        "envs/environment.yaml"
    params:
        problem=PROBLEM_B,
        memory=config["memory_budget"],
        seed=lambda w: PAIRS[w.pair][0],
        profile=options(B["profile"]),
    shell:
        "python src/profile_path.py --threads {threads} {params.problem}"
        " --memory-budget {params.memory}"
        " --tokens {input.tokens:q}"
        " --path {input.path:q} --kind {wildcards.kind} --pair {wildcards.pair}"
        " {params.profile} --seed {params.seed} --curvature {output.curvature:q} --losses {output.losses:q}"
        " 2>&1 | tee {log:q}"


rule run_projected_sgd:
    """SGD (or gradient descent, its control) beside the trained path, projected back to it."""
    input:
        code=sources("run_projected_sgd"),
        tokens=rules.encode_corpus.output.tokens,
        path=f"{OUT}/parts/connectivity/path_trained_{{pair}}.safetensors",
    output:
        f"{OUT}/parts/connectivity/trajectories_{{noise}}_{{pair}}.csv",
    log:
        f"{OUT}/logs/run_projected_sgd/{{noise}}_{{pair}}.log",
    benchmark:
        f"{OUT}/benchmarks/run_projected_sgd/{{noise}}_{{pair}}.tsv"
    conda:
        "envs/environment.yaml"
    params:
        problem=PROBLEM_B,
        seed=lambda w: PAIRS[w.pair][0],
        starts=B["dynamics"]["starts"],
        replicas=lambda w: B["dynamics"]["replicas"] if w.noise == "minibatch" else 1,
        sgd=lambda w: as_json(DRIVES[w.noise]),
    shell:
        "python src/run_projected_sgd.py --threads {threads} {params.problem}"
        " --tokens {input.tokens:q}"
        " --path {input.path:q} --pair {wildcards.pair} --noise {wildcards.noise}"
        " --starts {params.starts} --replicas {params.replicas} --seed {params.seed}"
        " --sgd {params.sgd:q} --out {output:q} 2>&1 | tee {log:q}"


# ---------------------------------------------------------------- tables and figures


rule gather_table:
    """One tidy table from the parts of all seeds, sizes or pairs."""
    input:
        code=sources("gather_table"),
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
    shell:
        "python src/gather_table.py --tables {input.parts:q} --out {output:q} 2>&1 | tee {log:q}"


rule plot_figure:
    """One figure in three formats, and its caption with the finding."""
    input:
        code=lambda w: sources(f"plot_{w.figure}"),
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
    shell:
        "python src/plot_{wildcards.figure}.py --tables {input.tables:q} --out {output.pdf:q}"
        " 2>&1 | tee {log:q}"
