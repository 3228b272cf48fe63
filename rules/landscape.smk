"""Paper A: increments of the landscape."""

FIRST = A["seeds"][0]
# Points by regime, as SIZES and FOCUS: those of a training run, and those that single rules look at.
OF_RUN = {"trajectory": SIZES["trajectory"], "trained": FOCUS["trained"]}
MINIMISERS = {"minimisers": SIZES["minimisers"]}
SPECTRA = {"trajectory": A["spectrum"]["k"]}
MOVED = {"trajectory": [2 * k for k in A["spectrum"]["k"]]}
TRAINED = {"trained": FOCUS["trained"]}
SOLVED = {"trained": [A["eigensolvers"]["k"]]}
PUBLISHED = {"trained": A["published"]["k"]}
FIXED = ["random", "trained"]  # weights that do not depend on k

TABLES["landscape"] = {
    "training_landscape": expand("<landscape>/curve_{seed}.csv", seed=A["seeds"]),
    "minimisers": expand("<landscape>/minimisers_{seed}.csv", seed=A["seeds"]),
    "eigenvalues": of_seeds("eigenvalues", SIZES),
    "points": of_seeds("point", SIZES),
    "criteria": of_seeds("criteria", SIZES),
    "terms": of_seeds("terms", SIZES),
    "fixed_weights": of_seeds("fixed", FIXED),
    "expansion": of_seeds("expansion", FOCUS),
    "validity": of_seeds("validity", FOCUS),
    "precision": of_seeds("precision", FOCUS),
    "estimators": of_seeds("estimators", TRAINED),
    "subspaces": of_seeds("subspaces", FOCUS),
    "index_sets": of_seeds("index_sets", FOCUS),
    "lemma5": of_seeds("lemma5", FOCUS),
    "geometry": of_seeds("geometry", FOCUS, [FIRST]),
    "spectrum": of_seeds("spectrum", SPECTRA),
    "drift": of_seeds("drift", SPECTRA),
    "eigensolvers": of_seeds("eigensolvers", SOLVED),
    "published": of_seeds("published", PUBLISHED),
    "published_eigenvalues": of_seeds("published_eigenvalues", PUBLISHED),
}
POINTS = (  # the options of every stage at the points of a seed
    " --threads {threads} {params.problem} --memory-budget {params.memory} --data-seed {wildcards.seed}"
    " --tokens {input.tokens:q} --at {params.at:q} --checkpoint {input.checkpoints:q}"
)
EIGEN = f"{POINTS} --eigen {{input.eigen:q}}"


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
        problem=PROBLEM_A + COMPILED,
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
        problem=PROBLEM_A + COMPILED,
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
    """Leading eigenpairs of H^(k) at the points of a training run."""
    input:
        tokens="<tokens>",
        checkpoints=checkpoints(OF_RUN),
    output:
        eigen=eigen(OF_RUN),
        meta=[f"{path}.json" for path in eigen(OF_RUN)],
        table=of_regimes("eigenvalues", OF_RUN),
    log:
        "<logs>/find_eigenpairs/{seed}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("find_eigenpairs"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        at=points(OF_RUN, count=eigenpairs),
        tolerance=A["tolerance"],
    shell:
        "python src/find_eigenpairs.py"
        + POINTS
        + " --tolerance {params.tolerance} --out {output.eigen:q}"
        " --table {output.table:q} 2>&1 | tee {log:q}"


use rule find_eigenpairs as find_minimiser_eigenpairs with:
    """Leading eigenpairs of H^(k) at minimisers."""
    input:
        tokens="<tokens>",
        checkpoints=checkpoints(MINIMISERS),
    output:
        eigen=eigen(MINIMISERS),
        meta=[f"{path}.json" for path in eigen(MINIMISERS)],
        table=of_regimes("eigenvalues", MINIMISERS),
    log:
        "<logs>/find_minimiser_eigenpairs/{seed}.log",
    params:
        at=points(MINIMISERS, count=eigenpairs),


rule estimate_criteria:
    """Δ₁, Δ₂ and Δ₂^(D) by every estimator over a grid of D and σ, and their terms."""
    input:
        tokens="<tokens>",
        checkpoints=lambda w: checkpoints(of_regime(w), w.seed),
        eigen=lambda w: eigen(of_regime(w), w.seed),
    output:
        estimates="<landscape>/criteria_{regime}_{seed}.csv",
        terms="<landscape>/terms_{regime}_{seed}.csv",
        point="<landscape>/point_{regime}_{seed}.csv",
    log:
        "<logs>/estimate_criteria/{regime}_{seed}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("estimate_criteria"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        at=lambda w: points(of_regime(w), dims=dims),
        candidates=A["candidates"],
        draws=A["candidate_draws"],
        sigmas=A["sigmas"],
        samples=A["samples"],
    shell:
        "python src/estimate_criteria.py"
        + EIGEN
        + " --candidates {params.candidates} --candidate-draws {params.draws}"
        " --sigmas {params.sigmas} --samples {params.samples}"
        " --estimates {output.estimates:q} --terms {output.terms:q} --point {output.point:q}"
        " 2>&1 | tee {log:q}"


rule estimate_fixed_weights:
    """Control of the decay: weights that do not depend on k, drawn or at the end of training."""
    input:
        tokens="<tokens>",
        checkpoint=CHECKPOINTS["trained"],
    output:
        random="<landscape>/fixed_random_{seed}.csv",
        trained="<landscape>/fixed_trained_{seed}.csv",
    log:
        "<logs>/estimate_fixed_weights/{seed}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("estimate_fixed_weights"),
        problem=PROBLEM_A,
        k=SIZES["trajectory"],
        candidates=A["candidates"],
        sigmas=middle(A["sigmas"]),  # one is enough for a control
        samples=A["samples"],
    shell:
        "python src/estimate_fixed_weights.py --threads {threads} {params.problem}"
        " --data-seed {wildcards.seed} --tokens {input.tokens:q} --checkpoint {input.checkpoint:q}"
        " --k {params.k} --candidates {params.candidates}"
        " --sigmas {params.sigmas} --samples {params.samples}"
        " --random {output.random:q} --trained {output.trained:q} 2>&1 | tee {log:q}"


rule measure_expansion:
    """Error of the quadratic model against σ in three precisions, σ*, and Fig. 3's ratio in each."""
    input:
        tokens="<tokens>",
        checkpoints=checkpoints(FOCUS),
        eigen=eigen(FOCUS),
    output:
        errors=of_regimes("expansion", FOCUS),
        validity=of_regimes("validity", FOCUS),
        moments=of_regimes("precision", FOCUS),
    log:
        "<logs>/measure_expansion/{seed}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("measure_expansion"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        at=points(FOCUS),
        limit=A["focus"]["validity_limit"],
        expansion=as_json(A["focus"]["expansion"]),
        precision=as_json(A["focus"]["precision"]),
    shell:
        "python src/measure_expansion.py"
        + EIGEN
        + " --limit {params.limit} --expansion {params.expansion:q}"
        " --precision {params.precision:q} --errors {output.errors:q} --validity {output.validity:q}"
        " --moments {output.moments:q} 2>&1 | tee {log:q}"


rule compare_estimators:
    """Both Monte Carlo estimators against the closed form, over D, σ and S."""
    input:
        tokens="<tokens>",
        checkpoints=checkpoints(TRAINED),
        eigen=eigen(TRAINED),
    output:
        of_regimes("estimators", TRAINED),
    log:
        "<logs>/compare_estimators/{seed}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("compare_estimators"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        at=points(TRAINED),
        grid=ordered(A["focus"]["estimators"]),
    shell:
        "python src/compare_estimators.py"
        + EIGEN
        + " --dims {params.grid[dims]} --sigmas {params.grid[sigmas]}"
        " --counts {params.grid[counts]} --out {output:q} 2>&1 | tee {log:q}"


rule compare_subspaces:
    """What other subspaces see of the same increment; random sets of eigenvectors; Lemma 5's assumptions."""
    input:
        tokens="<tokens>",
        checkpoints=checkpoints(FOCUS),
        eigen=eigen(FOCUS),
    output:
        subspaces=of_regimes("subspaces", FOCUS),
        index_sets=of_regimes("index_sets", FOCUS),
        lemma5=of_regimes("lemma5", FOCUS),
    log:
        "<logs>/compare_subspaces/{seed}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("compare_subspaces"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        at=points(FOCUS),
        grid=ordered(A["focus"]["subspaces"]),
    shell:
        "python src/compare_subspaces.py"
        + EIGEN
        + " --dims {params.grid[dims]} --sigmas {params.grid[sigmas]}"
        " --sets {params.grid[sets]} --batch {params.grid[batch]} --draws {params.grid[draws]}"
        " --tolerance {params.grid[tolerance]} --subspaces {output.subspaces:q}"
        " --index-sets {output.index_sets:q} --lemma5 {output.lemma5:q} 2>&1 | tee {log:q}"


rule map_geometry:
    """δ_k and its quadratic model on the plane of the two leading eigenvectors."""
    input:
        tokens="<tokens>",
        checkpoints=checkpoints(FOCUS),
        eigen=eigen(FOCUS),
    output:
        of_regimes("geometry", FOCUS),
    log:
        "<logs>/map_geometry/{seed}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("map_geometry"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        at=points(FOCUS),
        geometry=options(A["focus"]["geometry"]),
    shell:
        "python src/map_geometry.py"
        + EIGEN
        + " {params.geometry} --out {output:q} 2>&1 | tee {log:q}"


rule measure_spectrum:
    """Spectral density of H^(k), and how its top eigenspace turns from k to k + 1 and 2k."""
    input:
        tokens="<tokens>",
        checkpoints=checkpoints(SPECTRA),
        eigen=eigen(SPECTRA),
        moved=eigen(MOVED),
    output:
        density=of_regimes("spectrum", SPECTRA),
        drift=of_regimes("drift", SPECTRA),
    log:
        "<logs>/measure_spectrum/{seed}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("measure_spectrum"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        at=points(SPECTRA),
        grid=ordered(A["spectrum"]),
        tolerance=A["tolerance"],
    shell:
        "python src/measure_spectrum.py"
        + EIGEN
        + " --moved-eigen {input.moved:q} --dims {params.grid[dims]}"
        " --steps {params.grid[steps]} --probes {params.grid[probes]} --width {params.grid[width]}"
        " --points {params.grid[points]} --tolerance {params.tolerance} --density {output.density:q}"
        " --drift {output.drift:q} 2>&1 | tee {log:q}"


rule compare_eigensolvers:
    """Residual against products for each eigensolver."""
    input:
        tokens="<tokens>",
        checkpoints=checkpoints(SOLVED),
    output:
        of_regimes("eigensolvers", SOLVED),
    log:
        "<logs>/compare_eigensolvers/{seed}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("compare_eigensolvers"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        at=points(SOLVED),
        grid=ordered(A["eigensolvers"]),
    shell:
        "python src/compare_eigensolvers.py"
        + POINTS
        + " --count {params.grid[count]} --tolerances {params.grid[tolerances]} --steps {params.grid[steps]}"
        " --out {output:q} 2>&1 | tee {log:q}"


rule compare_procedures:
    """The published procedure, errors included, beside the corrected one."""
    input:
        tokens="<tokens>",
        checkpoints=checkpoints(PUBLISHED),
    output:
        quantities=of_regimes("published", PUBLISHED),
        eigenvalues=of_regimes("published_eigenvalues", PUBLISHED),
    log:
        "<logs>/compare_procedures/{seed}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("compare_procedures"),
        problem=PROBLEM_A,
        memory=config["memory_budget"],
        at=points(PUBLISHED),
        grid=ordered(A["published"]),
        tolerance=A["tolerance"],
    shell:
        "python src/compare_procedures.py"
        + POINTS
        + " --dim {params.grid[dim]} --steps {params.grid[steps]} --sigma {params.grid[sigma]}"
        " --samples {params.grid[samples]} --tolerance {params.tolerance} --quantities {output.quantities:q}"
        " --eigenvalues {output.eigenvalues:q} 2>&1 | tee {log:q}"


rule time_estimators:
    """Seconds of each stage of Δ₂^(D), ours and published, alone on all cores."""
    input:
        tokens="<tokens>",
        checkpoint=CHECKPOINTS["trained"].format(seed=FIRST),
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
        seed=FIRST,
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
