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
    """Paper A's measurements on another architecture, from its training to a row of a table for each seed."""
    input:
        tokens="<tokens>",
    output:
        points="<architectures>/points_{model}.csv",
        summary="<architectures>/summary_{model}.csv",
        cost="<architectures>/cost_{model}.csv",
    log:
        "<logs>/study_architecture/{model}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("study_architecture"),
        device=config["device"],
        model=lambda w: architecture(config, w.model, ARCH["samples"]),
        memory=config["memory_budget"],
        training=lambda w: as_json(ARCH["training"][task(ARCH["models"][w.model])]),
        seeds=ARCH["seeds"],
        study=as_json(ARCH["study"]),
    shell:
        "python src/study_architecture.py"
        + ARCHITECTURE
        + " --seeds {params.seeds} --study {params.study:q}"
        " --points {output.points:q} --summary {output.summary:q} --cost {output.cost:q} 2>&1 | tee {log:q}"


rule connect_architecture:
    """Paper B's rise of curvature on another architecture: minima in pairs, paths, loss and curvature on them."""
    input:
        tokens="<tokens>",
    output:
        losses="<architectures>/losses_{model}.csv",
        curvature="<architectures>/curvature_{model}.csv",
    log:
        "<logs>/connect_architecture/{model}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("connect_architecture"),
        device=config["device"],
        model=lambda w: architecture(config, w.model, ARCH["paths"]["samples"]),
        memory=config["memory_budget"],
        training=as_json(ARCH["paths"]["training"]),
        pairs=[f"{a}-{b}" for a, b in ARCH["paths"]["pairs"]],
        data_seed=B["data_seed"],
        descent=as_json(ARCH["paths"]["descent"]),
        neb=as_json(ARCH["paths"]["neb"]),
        profile=options(ARCH["paths"]["profile"]),
    shell:
        "python src/connect_architecture.py"
        + ARCHITECTURE
        + " --pairs {params.pairs} --data-seed {params.data_seed} --descent {params.descent:q}"
        " --neb {params.neb:q} {params.profile} --losses {output.losses:q} --curvature {output.curvature:q}"
        " 2>&1 | tee {log:q}"
