"""Paper B: the toy valley, paths between minima, SGD beside them, branching and averages.

Priorities put the longest chain of a run first, so that no long job is left for its end.
"""

LOOKED_AT = "adamw_autoneb"  # the path on which SGD runs
LOOKED_AT_FILE = f"<connectivity>/path_{LOOKED_AT}_{{pair}}.safetensors"
LOOKED_AT_OPTIONS = " --variant {} --kind {}".format(*LOOKED_AT.split("_"))
TABLES["connectivity"] = {
    **{
        f"valley_{part}": expand(
            "<connectivity>/valley_{part}_{seed}.csv", part=part, seed=B["valley"]["seeds"]
        )
        for part in ["fits", "profile", "trajectories"]
    },
    "training_minima": expand(
        "<connectivity>/curve_{variant}_{pair}.csv", variant=B["training"], pair=PAIRS
    ),
    "minima": expand(
        "<connectivity>/minima_{variant}_{pair}.csv", variant=B["training"], pair=PAIRS
    ),
    "paths": on_paths("path"),
    "path_losses": on_paths("losses"),
    "path_curvature": on_paths("curvature"),
    "path_eigenvalues": on_paths("eigenvalues"),
    "path_groups": on_paths("groups"),
    "path_criteria": expand(f"<connectivity>/criteria_{LOOKED_AT}_{{pair}}.csv", pair=PAIRS),
    "path_spectrum": expand(f"<connectivity>/spectrum_{LOOKED_AT}_{{pair}}.csv", pair=PAIRS),
    "projected_sgd": expand("<connectivity>/trajectories_{run}_{pair}.csv", run=RUNS, pair=PAIRS),
    "path_drift": expand("<connectivity>/drift_{pair}.csv", pair=PAIRS),
    "path_drift_predicted": expand("<connectivity>/predicted_{pair}.csv", pair=PAIRS),
    "children": expand("<connectivity>/children_{parent}.csv", parent=PARENTS.values()),
    "children_curvature": expand(
        "<connectivity>/children_curvature_{parent}.csv", parent=PARENTS.values()
    ),
    "averages": expand("<connectivity>/averages_{pair}.csv", pair=PAIRS),
}
MINIMA = [f"<connectivity>/minimum_{{variant}}_{{pair}}_{end}.safetensors" for end in (0, 1)]
PATH = (  # the options of every stage on a path
    " --threads {threads} {params.problem} --memory-budget {params.memory} --tokens {input.tokens:q}"
    " --path {input.path:q} --pair {wildcards.pair} --seed {params.seed}"
)


rule simulate_valley:
    """Brownian particles in the toy valley: its effective potential."""
    output:
        fits="<connectivity>/valley_fits_{seed}.csv",
        profile="<connectivity>/valley_profile_{seed}.csv",
        trajectories="<connectivity>/valley_trajectories_{seed}.csv",
    log:
        "<logs>/simulate_valley/{seed}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("simulate_valley"),
        valley=as_json(B["valley"]["settings"]),
    shell:
        "python src/simulate_valley.py --threads {threads} --seed {wildcards.seed} --valley {params.valley:q}"
        " --fits {output.fits:q} --profile {output.profile:q} --trajectories {output.trajectories:q}"
        " 2>&1 | tee {log:q}"


rule train_minimum:
    """Train both ends of a pair to the loss floor on a small subset, the same for all seeds."""
    input:
        tokens="<tokens>",
    output:
        checkpoints=MINIMA,
        meta=[f"{minimum}.json" for minimum in MINIMA],
        curve="<connectivity>/curve_{variant}_{pair}.csv",
    log:
        "<logs>/train_minimum/{variant}_{pair}.log",
    priority: 3
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("train_model"),
        problem=PROBLEM_B + COMPILED,
        seeds=lambda w: PAIRS[w.pair],
        training=lambda w: as_json(B["training"][w.variant]),
    shell:
        "python src/train_model.py --threads {threads} {params.problem} --tokens {input.tokens:q}"
        " --seed {params.seeds} --training {params.training:q} --variant {wildcards.variant}"
        " --checkpoint {output.checkpoints:q} --curve {output.curve:q} 2>&1 | tee {log:q}"


rule relax_minima:
    """Relax both ends as the points of a path will be; how low, flat and stationary they are."""
    input:
        tokens="<tokens>",
        ends=MINIMA,
    output:
        ends="<connectivity>/ends_{variant}_{pair}.safetensors",
        meta="<connectivity>/ends_{variant}_{pair}.safetensors.json",
        table="<connectivity>/minima_{variant}_{pair}.csv",
    log:
        "<logs>/relax_minima/{variant}_{pair}.log",
    priority: 3
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("relax_minima"),
        problem=PROBLEM_B + COMPILED,
        memory=config["memory_budget"],
        seed=seed_of_pair,
        descent=as_json(B["descent"]),
        probes=B["profile"]["settings"]["probes"],
        tolerance=B["profile"]["settings"]["tolerance"],
    shell:
        "python src/relax_minima.py --threads {threads} {params.problem} --memory-budget {params.memory}"
        " --tokens {input.tokens:q} --ends {input.ends:q} --variant {wildcards.variant}"
        " --pair {wildcards.pair} --descent {params.descent:q} --probes {params.probes}"
        " --tolerance {params.tolerance} --seed {params.seed} --out {output.ends:q}"
        " --table {output.table:q} 2>&1 | tee {log:q}"


rule connect_minima:
    """A path between two relaxed minima; an interrupted search goes on where it stopped."""
    input:
        tokens="<tokens>",
        ends="<connectivity>/ends_{variant}_{pair}.safetensors",
    output:
        path="<connectivity>/path_<path>.safetensors",
        meta="<connectivity>/path_<path>.safetensors.json",
        table="<connectivity>/path_<path>.csv",
    log:
        "<logs>/connect_minima/<path>.log",
    priority: 3
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("connect_minima"),
        problem=PROBLEM_B + COMPILED,
        seed=seed_of_pair,
        descent=as_json(B["descent"]),
        finder=lambda w: as_json(B["finders"].get(w.kind, {})),
    shell:
        "python src/connect_minima.py --threads {threads} {params.problem} --tokens {input.tokens:q}"
        " --ends {input.ends:q} --variant {wildcards.variant} --kind {wildcards.kind} --pair {wildcards.pair}"
        " --finder {params.finder:q} --descent {params.descent:q} --seed {params.seed}"
        " --out {output.path:q} --table {output.table:q} 2>&1 | tee {log:q}"


rule profile_path:
    """Loss, curvature, gradient noise and Paper A's criterion along the paths of a pair."""
    input:
        tokens="<tokens>",
        paths=of_pair("path", "safetensors"),
    output:
        curvature=of_pair("curvature"),
        eigenvalues=of_pair("eigenvalues"),
        groups=of_pair("groups"),
        losses=of_pair("losses"),
        criteria=f"<connectivity>/criteria_{LOOKED_AT}_{{pair}}.csv",
    log:
        "<logs>/profile_path/{pair}.log",
    priority: 1
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("profile_path"),
        problem=PROBLEM_B,
        memory=config["memory_budget"],
        seed=seed_of_pair,
        curves=sorted(CURVES),
        profile=as_json(B["profile"]["settings"]),
        points=B["profile"]["points"],
        dense=B["profile"]["dense_points"],
        judged=LOOKED_AT,
        criteria=options(B["criteria"]),
    shell:
        "python src/profile_path.py --threads {threads} {params.problem} --memory-budget {params.memory}"
        " --tokens {input.tokens:q} --pair {wildcards.pair} --seed {params.seed}"
        " --paths {input.paths:q} --curves {params.curves}"
        " --points {params.points} --dense-points {params.dense} --profile {params.profile:q}"
        " --curvature {output.curvature:q} --eigenvalues {output.eigenvalues:q} --groups {output.groups:q}"
        " --losses {output.losses:q} --judged {params.judged} {params.criteria}"
        " --criteria {output.criteria:q} 2>&1 | tee {log:q}"


rule measure_path_spectrum:
    """Spectral density of the Hessian at some positions."""
    input:
        tokens="<tokens>",
        path="<connectivity>/path_<path>.safetensors",
    output:
        "<connectivity>/spectrum_<path>.csv",
    log:
        "<logs>/measure_path_spectrum/<path>.log",
    conda:
        "../envs/environment.yaml"
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
    """SGD, its rivals and controls beside the path, projected back to it; a killed job goes on."""
    input:
        tokens="<tokens>",
        path=LOOKED_AT_FILE,
    output:
        expand("<connectivity>/trajectories_{run}_{{pair}}.csv", run=sorted(RUNS)),
    log:
        "<logs>/run_projected_sgd/{pair}.log",
    priority: 2
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("run_projected_sgd"),
        problem=PROBLEM_B + COMPILED,
        memory=config["memory_budget"],
        seed=seed_of_pair,
        runs=as_json([{"run": name} | RUNS[name] for name in sorted(RUNS)]),
    shell:
        "python src/run_projected_sgd.py"
        + PATH
        + LOOKED_AT_OPTIONS
        + " --runs {params.runs:q} --out {output:q} 2>&1 | tee {log:q}"


rule measure_drift:
    """Displacement along the path in one period of plain SGD, beyond descent."""
    input:
        tokens="<tokens>",
        path=LOOKED_AT_FILE,
    output:
        "<connectivity>/drift_{pair}.csv",
    log:
        "<logs>/measure_drift/{pair}.log",
    priority: 1
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("measure_drift"),
        problem=PROBLEM_B + COMPILED,
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
        tokens="<tokens>",
        path=LOOKED_AT_FILE,
    output:
        "<connectivity>/predicted_{pair}.csv",
    log:
        "<logs>/predict_drift/{pair}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("predict_drift"),
        problem=PROBLEM_B + COMPILED,
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
        measured="<results>/path_drift.csv",
        predicted="<results>/path_drift_predicted.csv",
    output:
        slopes=reported("drift_slopes", HEADINGS["connectivity"]),
        velocities=reported("drift_velocities", HEADINGS["connectivity"]),
        exponents=reported("drift_exponents", HEADINGS["connectivity"]),
    log:
        "<logs>/fit_drift/all.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("fit_drift"),
        inside=LIMITS["inside"],
    shell:
        "python src/fit_drift.py --measured {input.measured:q} --predicted {input.predicted:q}"
        " --inside {params.inside}"
        " --slopes {output.slopes:q} --velocities {output.velocities:q} --exponents {output.exponents:q}"
        " 2>&1 | tee {log:q}"


rule train_families:
    """A parent run and the pairs of children that branch from it."""
    input:
        tokens="<tokens>",
    output:
        family="<connectivity>/family_{parent}.safetensors",
        meta="<connectivity>/family_{parent}.safetensors.json",
    log:
        "<logs>/train_families/{parent}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("train_families"),
        problem=PROBLEM_B + COMPILED,
        branching=as_json(B["branching"]["settings"]),
    shell:
        "python src/train_families.py --threads {threads} {params.problem} --tokens {input.tokens:q}"
        " --seed {wildcards.parent} --branching {params.branching:q} --out {output.family:q}"
        " 2>&1 | tee {log:q}"


rule compare_children:
    """Losses and curvature on the lines between children and between checkpoints."""
    input:
        tokens="<tokens>",
        family=rules.train_families.output.family,
    output:
        losses="<connectivity>/children_{parent}.csv",
        curvature="<connectivity>/children_curvature_{parent}.csv",
    log:
        "<logs>/compare_children/{parent}.log",
    conda:
        "../envs/environment.yaml"
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
        tokens="<tokens>",
        path=LOOKED_AT_FILE,
        family=lambda w: f"<connectivity>/family_{PARENTS[w.pair]}.safetensors",
    output:
        "<connectivity>/averages_{pair}.csv",
    log:
        "<logs>/evaluate_averages/{pair}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("evaluate_averages"),
        problem=PROBLEM_B + COMPILED,
        memory=config["memory_budget"],
        seed=seed_of_pair,
        parent=lambda w: PARENTS[w.pair],
        branches=B["branching"]["settings"]["branches"],
        positions=B["averages"]["positions"],
        sgd=as_json(B["averages"]["sgd"]),
        probes=B["averages"]["probes"],
    shell:
        "python src/evaluate_averages.py"
        + PATH
        + " --family {input.family:q} --parent {params.parent} --branches {params.branches}"
        " --positions {params.positions} --sgd {params.sgd:q} --probes {params.probes} --out {output:q}"
        " 2>&1 | tee {log:q}"


rule time_replicas:
    """A step of many replicas: batched against a loop."""
    input:
        tokens="<tokens>",
    output:
        reported("replicas", HEADINGS["connectivity"]),
    log:
        "<logs>/time_replicas/all.log",
    conda:
        "../envs/environment.yaml"
    threads: workflow.cores
    params:
        code=digest_of("time_replicas"),
        problem=PROBLEM_B,
        timing=options(B["timing"]),
    shell:
        "python src/time_replicas.py --threads {threads} {params.problem} --tokens {input.tokens:q}"
        " {params.timing} --out {output:q} 2>&1 | tee {log:q}"
