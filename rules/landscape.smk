"""Paper A: increments of the landscape."""

TABLES["landscape"] = {
    "training_landscape": expand("<landscape>/curve_{seed}.csv", seed=A["seeds"]),
    "minimisers": expand("<landscape>/minimisers_{seed}.csv", seed=A["seeds"]),
    "eigenvalues": points("eigenvalues", SIZES),
    "points": points("point", SIZES),
    "criteria": points("criteria", SIZES),
    "terms": points("terms", SIZES),
    "fixed_weights": expand(
        "<landscape>/fixed_{regime}_{seed}.csv", regime=["random", "trained"], seed=A["seeds"]
    ),
    "expansion": points("expansion", FOCUS),
    "validity": points("validity", FOCUS),
    "precision": points("precision", FOCUS),
    "estimators": points("estimators", {"trained": FOCUS["trained"]}),
    "subspaces": points("subspaces", FOCUS),
    "index_sets": points("index_sets", FOCUS),
    "lemma5": points("lemma5", FOCUS),
    "geometry": points("geometry", FOCUS, A["seeds"][:1]),
    "spectrum": points("spectrum", {"trajectory": A["spectrum"]["k"]}),
    "drift": points("drift", {"trajectory": A["spectrum"]["k"]}),
    "eigensolvers": points("eigensolvers", {"trained": [A["eigensolvers"]["k"]]}),
    "published": points("published", {"trained": A["published"]["k"]}),
    "published_eigenvalues": points("published_eigenvalues", {"trained": A["published"]["k"]}),
}
POINT = (  # the options of every stage at a point
    " --threads {threads} {params.problem} --memory-budget {params.memory} --data-seed {wildcards.seed}"
    " --tokens {input.tokens:q} --checkpoint {input.checkpoint:q} --k {wildcards.k}"
    " --regime {wildcards.regime}"
)


rule train_language_model:
    """Train on one pass over sequences in seeded order; the first k of them make L_k."""
    input:
        tokens="<tokens>",
    output:
        checkpoint="<landscape>/model_{seed}.safetensors",
        meta="<landscape>/model_{seed}.safetensors.json",
        snapshots=expand(CHECKPOINTS["trajectory"], k=SIZES["trajectory"], allow_missing=True),
        curve="<landscape>/curve_{seed}.csv",
    log:
        "<logs>/train_language_model/{seed}.log",
    conda:
        "../envs/environment.yaml"
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
        tokens="<tokens>",
    output:
        checkpoints=expand(CHECKPOINTS["minimisers"], k=SIZES["minimisers"], allow_missing=True),
        table="<landscape>/minimisers_{seed}.csv",
    log:
        "<logs>/find_minimisers/{seed}.log",
    conda:
        "../envs/environment.yaml"
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
        tokens="<tokens>",
        checkpoint=checkpoint,
    output:
        eigen="<landscape>/eigen_<point>.safetensors",
        meta="<landscape>/eigen_<point>.safetensors.json",
        table="<landscape>/eigenvalues_<point>.csv",
    log:
        "<logs>/find_eigenpairs/<point>.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("find_eigenpairs"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        eigenpairs=eigenpairs,
        tolerance=A["tolerance"],
    shell:
        "python src/find_eigenpairs.py"
        + POINT
        + " --count {params.eigenpairs} --tolerance {params.tolerance} --out {output.eigen:q}"
        " --table {output.table:q} 2>&1 | tee {log:q}"


rule estimate_criteria:
    """Δ₁, Δ₂ and Δ₂^(D) by every estimator over a grid of D and σ, and their terms."""
    input:
        tokens="<tokens>",
        checkpoint=checkpoint,
        eigen="<landscape>/eigen_<point>.safetensors",
    output:
        estimates="<landscape>/criteria_<point>.csv",
        terms="<landscape>/terms_<point>.csv",
        point="<landscape>/point_<point>.csv",
    log:
        "<logs>/estimate_criteria/<point>.log",
    conda:
        "../envs/environment.yaml"
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
        + " --eigen {input.eigen:q} --candidates {params.candidates} --candidate-draws {params.draws}"
        " --dims {params.dims} --sigmas {params.sigmas} --samples {params.samples}"
        " --estimates {output.estimates:q} --terms {output.terms:q} --point {output.point:q}"
        " 2>&1 | tee {log:q}"


rule estimate_fixed_weights:
    """Control of the decay: weights that do not depend on k, drawn or at the end of training."""
    input:
        tokens="<tokens>",
        checkpoint=lambda w: (
            CHECKPOINTS["trained"].format(seed=w.seed) if w.regime == "trained" else []
        ),
    output:
        "<landscape>/fixed_{regime}_{seed}.csv",
    log:
        "<logs>/estimate_fixed_weights/{regime}_{seed}.log",
    conda:
        "../envs/environment.yaml"
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
        tokens="<tokens>",
        checkpoint=checkpoint,
        eigen="<landscape>/eigen_<point>.safetensors",
    output:
        errors="<landscape>/expansion_<point>.csv",
        validity="<landscape>/validity_<point>.csv",
        moments="<landscape>/precision_<point>.csv",
    log:
        "<logs>/measure_expansion/<point>.log",
    conda:
        "../envs/environment.yaml"
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
        + " --eigen {input.eigen:q} --limit {params.limit} --expansion {params.expansion:q}"
        " --precision {params.precision:q} --errors {output.errors:q} --validity {output.validity:q}"
        " --moments {output.moments:q} 2>&1 | tee {log:q}"


rule compare_estimators:
    """Both Monte Carlo estimators against the closed form, over D, σ and S."""
    input:
        tokens="<tokens>",
        checkpoint=checkpoint,
        eigen="<landscape>/eigen_<point>.safetensors",
    output:
        "<landscape>/estimators_<point>.csv",
    log:
        "<logs>/compare_estimators/<point>.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("compare_estimators"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        grid=ordered(A["focus"]["estimators"]),
    shell:
        "python src/compare_estimators.py"
        + POINT
        + " --eigen {input.eigen:q} --dims {params.grid[dims]} --sigmas {params.grid[sigmas]}"
        " --counts {params.grid[counts]} --out {output:q} 2>&1 | tee {log:q}"


rule compare_subspaces:
    """What other subspaces see of the same increment; random sets of eigenvectors; Lemma 5's assumptions."""
    input:
        tokens="<tokens>",
        checkpoint=checkpoint,
        eigen="<landscape>/eigen_<point>.safetensors",
    output:
        subspaces="<landscape>/subspaces_<point>.csv",
        index_sets="<landscape>/index_sets_<point>.csv",
        lemma5="<landscape>/lemma5_<point>.csv",
    log:
        "<logs>/compare_subspaces/<point>.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("compare_subspaces"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        grid=ordered(A["focus"]["subspaces"]),
    shell:
        "python src/compare_subspaces.py"
        + POINT
        + " --eigen {input.eigen:q} --dims {params.grid[dims]} --sigmas {params.grid[sigmas]}"
        " --sets {params.grid[sets]} --batch {params.grid[batch]} --draws {params.grid[draws]}"
        " --tolerance {params.grid[tolerance]} --subspaces {output.subspaces:q}"
        " --index-sets {output.index_sets:q} --lemma5 {output.lemma5:q} 2>&1 | tee {log:q}"


rule map_geometry:
    """δ_k and its quadratic model on the plane of the two leading eigenvectors."""
    input:
        tokens="<tokens>",
        checkpoint=checkpoint,
        eigen="<landscape>/eigen_<point>.safetensors",
    output:
        "<landscape>/geometry_<point>.csv",
    log:
        "<logs>/map_geometry/<point>.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("map_geometry"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        geometry=options(A["focus"]["geometry"]),
    shell:
        "python src/map_geometry.py"
        + POINT
        + " --eigen {input.eigen:q} {params.geometry} --out {output:q} 2>&1 | tee {log:q}"


rule measure_spectrum:
    """Spectral density of H^(k), and how its top eigenspace turns from k to k + 1 and 2k."""
    input:
        tokens="<tokens>",
        checkpoint=checkpoint,
        eigen="<landscape>/eigen_<point>.safetensors",
        moved=lambda w: f"<landscape>/eigen_{w.regime}_{w.seed}_{2 * int(w.k)}.safetensors",
    output:
        density="<landscape>/spectrum_<point>.csv",
        drift="<landscape>/drift_<point>.csv",
    log:
        "<logs>/measure_spectrum/<point>.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("measure_spectrum"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        grid=ordered(A["spectrum"]),
        tolerance=A["tolerance"],
    shell:
        "python src/measure_spectrum.py"
        + POINT
        + " --eigen {input.eigen:q} --moved-eigen {input.moved:q} --dims {params.grid[dims]}"
        " --steps {params.grid[steps]} --probes {params.grid[probes]} --width {params.grid[width]}"
        " --points {params.grid[points]} --tolerance {params.tolerance} --density {output.density:q}"
        " --drift {output.drift:q} 2>&1 | tee {log:q}"


rule compare_eigensolvers:
    """Residual against products for each eigensolver."""
    input:
        tokens="<tokens>",
        checkpoint=checkpoint,
    output:
        "<landscape>/eigensolvers_<point>.csv",
    log:
        "<logs>/compare_eigensolvers/<point>.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("compare_eigensolvers"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        grid=ordered(A["eigensolvers"]),
    shell:
        "python src/compare_eigensolvers.py"
        + POINT
        + " --count {params.grid[count]} --tolerances {params.grid[tolerances]} --steps {params.grid[steps]}"
        " --out {output:q} 2>&1 | tee {log:q}"


rule compare_procedures:
    """The published procedure, errors included, beside the corrected one."""
    input:
        tokens="<tokens>",
        checkpoint=checkpoint,
    output:
        table="<landscape>/published_<point>.csv",
        eigenvalues="<landscape>/published_eigenvalues_<point>.csv",
    log:
        "<logs>/compare_procedures/<point>.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("compare_procedures"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        grid=ordered(A["published"]),
        tolerance=A["tolerance"],
    shell:
        "python src/compare_procedures.py"
        + POINT
        + " --dim {params.grid[dim]} --steps {params.grid[steps]} --sigma {params.grid[sigma]}"
        " --samples {params.grid[samples]} --tolerance {params.tolerance} --out {output.table:q}"
        " --eigenvalues {output.eigenvalues:q} 2>&1 | tee {log:q}"


rule time_estimators:
    """Seconds of each stage of Δ₂^(D), ours and published, alone on all cores."""
    input:
        tokens="<tokens>",
        checkpoint=CHECKPOINTS["trained"].format(seed=A["seeds"][0]),
    output:
        timing=reported("timing", HEADINGS["landscape"]),
        accuracy=reported("accuracy", HEADINGS["landscape"]),
    log:
        "<logs>/time_estimators/all.log",
    conda:
        "../envs/environment.yaml"
    threads: workflow.cores
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


rule fit_decay:
    """How the criteria fall with k, and how many sequences that makes until one more changes little."""
    input:
        criteria="<results>/criteria.csv",
        points="<results>/points.csv",
        fixed="<results>/fixed_weights.csv",
    output:
        slopes=reported("slopes", HEADINGS["landscape"]),
        sequences=reported("sequences", HEADINGS["landscape"]),
    log:
        "<logs>/fit_decay/all.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("fit_decay"),
        epsilons=A["epsilons"],
    shell:
        "python src/fit_decay.py --criteria {input.criteria:q} --points {input.points:q}"
        " --fixed-weights {input.fixed:q} --epsilons {params.epsilons} --slopes {output.slopes:q}"
        " --sequences {output.sequences:q} 2>&1 | tee {log:q}"
