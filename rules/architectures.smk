"""A11: Paper A's measurements, and Paper B's rise of curvature, on other architectures."""

TABLES["architectures"] = {
    "architectures": studied("summary"),
    "architecture_points": studied("points"),
    "architecture_costs": studied("cost"),
    "architecture_losses": traced("losses"),
    "architecture_curvature": traced("curvature"),
}
ARCHITECTURE = (  # the options of every stage on an architecture
    " --threads {threads} --device {params.device} --name {wildcards.model} {params.model}"
    " --tokens {input.tokens:q} --memory-budget {params.memory} --training {params.training:q}"
)


rule study_architecture:
    """Paper A's measurements on another architecture, from its training to one row of a table."""
    input:
        tokens="<tokens>",
    output:
        points="<architectures>/points_{model}_{seed}.csv",
        summary="<architectures>/summary_{model}_{seed}.csv",
        cost="<architectures>/cost_{model}_{seed}.csv",
    log:
        "<logs>/study_architecture/{model}_{seed}.log",
    conda:
        "../envs/environment.yaml"
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


rule connect_architecture:
    """Paper B's rise of curvature on another architecture: two minima, a path, loss and curvature on it."""
    input:
        tokens="<tokens>",
    output:
        losses="<architectures>/losses_{model}_{pair}.csv",
        curvature="<architectures>/curvature_{model}_{pair}.csv",
    log:
        "<logs>/connect_architecture/{model}_{pair}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("connect_architecture"),
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
        "python src/connect_architecture.py"
        + ARCHITECTURE
        + " --pair {params.pair} --data-seed {params.data_seed} --descent {params.descent:q}"
        " --neb {params.neb:q} {params.profile} --losses {output.losses:q} --curvature {output.curvature:q}"
        " 2>&1 | tee {log:q}"
