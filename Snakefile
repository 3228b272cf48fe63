"""valleyscope: raw text -> tables and figures of both papers. Rules stand in the order of the papers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from dag.configuration import check_config
from dag.options import require_writable
from dag.plan import outcome, plan
from valleyscope.errors import InputError


configfile: "configs/default.yaml"


try:
    check_config(config, Path(workflow.basedir) / "configs/schema.yaml")
    require_writable(config["output"])
except InputError as error:
    sys.exit(str(error))


pathvars:
    results=config["output"]["results"],
    figures=config["output"]["figures"],
    logs="<results>/logs",
    landscape="<results>/parts/landscape",  # parts of tables, weights and eigenpairs, by section
    connectivity="<results>/parts/connectivity",
    architectures="<results>/parts/architectures",
    tokens="<results>/corpus/tokens.safetensors",
    path="{variant}_{kind}_{pair}",  # of Paper B, between two minima


include: "rules/common.smk"
include: "rules/corpus.smk"
include: "rules/landscape.smk"
include: "rules/connectivity.smk"
include: "rules/architectures.smk"
include: "rules/report.smk"


wildcard_constraints:
    seed=either({*A["seeds"], *sum(B["pairs"], []), *B["valley"]["seeds"]}),
    model=either(ARCH["models"]),
    parent=either(B["branching"]["parents"]),
    regime=either(SIZES),
    pair=either(PAIRS),
    variant=either(B["training"]),
    kind=either({kind for kinds in B["kinds"].values() for kind in kinds}),
    table=either(PARTS),
    figure=either(FIGURES),


localrules:
    all,
    fetch_corpus,  # compute nodes often have no network


onstart:
    if config["compiled"] and not COMPILED:
        print("No C++ compiler (g++ or clang) is there: gradients run uncompiled.")
    # Only the configuration of the reference run has known costs.
    reference = config["output"]["results"] == "results"
    costs = Path(workflow.basedir) / "results/reference/costs.csv" if reference else None
    print(plan([job.rule.name for job in workflow.dag.needrun_jobs()], workflow.cores, costs))


onsuccess:
    folder = Path(config["output"]["results"])
    if (folder / "report.html").exists():
        print(outcome(folder / "claims.csv", folder / "report.html"))


rule all:
    """Every table and figure of the configured run."""
    default_target: True
    input:
        expand("<results>/{table}.csv", table=ALL_TABLES),
        expand("<figures>/{figure}.{ext}", figure=FIGURES, ext=["pdf", "svg", "png"]),
        "<results>/report.html",
        expand("<results>/tables/{name}.{ext}", name=["claims", "table3"], ext=["csv", "tex"]),
