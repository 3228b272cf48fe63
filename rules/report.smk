"""Tables, figures, claims and texts."""

PARTS = {table: parts for tables in TABLES.values() for table, parts in tables.items()}
HEADING = {table: HEADINGS[section] for section, tables in TABLES.items() for table in tables}
ALL_TABLES = [*PARTS, *WHOLE_TABLES]
SHOWN = {  # heading -> its figures
    catalogue.PAPERS[section]: [
        f"{config['output']['figures']}/{name}.svg" for name in catalogue.figures_of(section)
    ]
    for section in ["landscape", "connectivity", "corpus"]
}


rule gather_table:
    """One tidy table from the parts of all seeds, sizes or pairs."""
    input:
        parts=lambda w: PARTS[w.table],
    output:
        reported("{table}", lambda w: HEADING[w.table]),
    log:
        "<logs>/gather_table/{table}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("gather_table"),
    shell:
        "python src/gather_table.py --tables {input.parts:q} --out {output:q} 2>&1 | tee {log:q}"


rule plot_figure:
    """One figure in three formats, its caption with the finding, and the numbers behind it."""
    input:
        tables=lambda w: expand("<results>/{table}.csv", table=FIGURES[w.figure].tables),
    output:
        pdf="<figures>/{figure}.pdf",
        svg="<figures>/{figure}.svg",
        png=report(
            "<figures>/{figure}.png",
            caption="captions/figure.rst",
            category=lambda w: FIGURES[w.figure].paper,
            labels={"what": "{figure}", "kind": "figure"},
        ),
        caption="<figures>/{figure}.txt",
        numbers="<figures>/{figure}.csv",
    log:
        "<logs>/plot_figure/{figure}.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=lambda w: digest_of_figure(w.figure),
        row=lambda w: repr(FIGURES[w.figure]),
        limits=lambda w: as_json({name: LIMITS[name] for name in FIGURES[w.figure].limits}),
    shell:
        "python src/plot_figure.py --figure {wildcards.figure} --tables {input.tables:q}"
        " --limits {params.limits:q} --out {output.pdf:q} 2>&1 | tee {log:q}"


rule judge_claims:
    """Verdicts on the ledger's claims."""
    input:
        tables=expand("<results>/{table}.csv", table=judged_tables()),
    output:
        claims=reported("claims", "Claims"),
    log:
        "<logs>/judge_claims/all.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("judge_claims"),
        limits=as_json({name: LIMITS[name] for name in judged_limits()}),
    shell:
        "python src/judge_claims.py --tables {input.tables:q} --limits {params.limits:q}"
        " --out {output:q} 2>&1 | tee {log:q}"


rule write_latex:
    """The tables of the paper in LaTeX and CSV."""
    input:
        claims=rules.judge_claims.output.claims,
        timing="<results>/timing.csv",
        errors="<results>/accuracy.csv",
    output:
        expand("<results>/tables/{name}.{ext}", name=["claims", "table3"], ext=["csv", "tex"]),
    log:
        "<logs>/write_latex/all.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("write_latex"),
        rmse=LIMITS["rmse"],
        folder=lambda w, output: str(Path(output[0]).parent),
    shell:
        "python src/write_latex.py --claims {input.claims:q} --timing {input.timing:q}"
        " --errors {input.errors:q} --rmse {params.rmse} --out {params.folder:q}"
        " 2>&1 | tee {log:q}"


rule write_report:
    """One HTML page: headlines, claims, figures, methods, limits, cost, provenance."""
    input:
        template="src/valleyscope/report/templates/report.html.j2",
        claims=rules.judge_claims.output.claims,
        tables=expand("<results>/{table}.csv", table=ALL_TABLES),
        figures=expand("<figures>/{name}.svg", name=FIGURES),
        captions=expand("<figures>/{name}.txt", name=FIGURES),
    output:
        report(
            "<results>/report.html",
            caption="captions/page.rst",
            category="Claims",
            labels={"what": "report", "kind": "page"},
        ),
    log:
        "<logs>/write_report/all.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("write_report"),
        figures=as_json(SHOWN),
        logs=f"{config['output']['results']}/logs",
        settings=as_json(methods(config)),
    shell:
        "python src/write_report.py --claims {input.claims:q} --tables {input.tables:q}"
        " --figures {params.figures:q} --logs {params.logs:q} --settings {params.settings:q}"
        " --out {output:q} 2>&1 | tee {log:q}"
