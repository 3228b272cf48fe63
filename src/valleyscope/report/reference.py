"""What README and docs quote from the committed reference: blocks between markers, the page of figures."""

import re
from pathlib import Path

import pandas as pd

from valleyscope.artifacts import read_table
from valleyscope.figures.catalogue import FIGURES, PAPERS, figures_of, module_of
from valleyscope.figures.engine import product_costs, solver_costs
from valleyscope.readings.cost import table3
from valleyscope.readings.intervals import student_interval
from valleyscope.report.gpu import gpu_block
from valleyscope.report.latex import ESTIMATORS
from valleyscope.report.report import claimed, measured

WHOLE_RUN = "(whole run)"
COST = re.compile(r": took ([\d.]+) s and (\d+) MB$", re.MULTILINE)  # of stage.arguments

FIGURES_HEAD = """\
# Every figure, with what it shows

Written by `make texts`. Captions and numbers are computed from [results/reference](../results/reference)
when a figure is drawn. Columns and units of every table: [results/README.md](../results/README.md). Tables 2
and 3 of Paper A: [checks.md](checks.md#one-value). The theory of the drift: [drift.md](drift.md)."""

# Tables of counts of what was tried and what went well, and the command that makes each again.
COUNTS = {
    "tests": "make test",
    "determinism": "python tests/reliability/determinism.py",
    "faults": "make faults",
    "cluster": "make test-cluster",
}


def costs(logs: Path) -> pd.DataFrame:
    """Seconds and MB by rule, from what each job says at the end of its log RULE/JOB.log.

    The last row is the time during which at least one job ran: a log is last written when its job ends.
    Pauses between two parts of a run do not count, nor does a job that failed.
    """
    said = {path: COST.findall(path.read_text(encoding="utf-8")) for path in sorted(logs.glob("*/*.log"))}
    rows = pd.DataFrame(
        [
            (path.parent.name, float(found[-1][0]), float(found[-1][1]), path.stat().st_mtime)
            for path, found in said.items()
            if found
        ],
        columns=["rule", "s", "memory", "end"],
    )
    wall = _covered(rows["end"] - rows["s"], rows["end"])
    grouped = rows.groupby("rule")
    seconds, memory = grouped["s"], grouped["memory"]
    table = pd.DataFrame(
        {
            "jobs": grouped.size(),
            "seconds": seconds.sum().round(1),
            "longest": seconds.max().round(1),
            "memory": memory.max().round(),
        }
    ).reset_index()
    whole = {"rule": WHOLE_RUN, "jobs": len(rows), "seconds": round(wall, 1)}
    whole |= {"longest": table["longest"].max(), "memory": table["memory"].max()}
    return pd.concat([table, pd.DataFrame([whole])], ignore_index=True)


def _covered(starts: pd.Series, ends: pd.Series) -> float:
    """Length of the union of the intervals."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(zip(starts, ends, strict=True)):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def text_blocks(reference: Path, benchmarks: Path, figures: Path, rmse: float) -> dict[str, str]:
    """What README and docs quote from committed tables and captions, by name of the block.

    rmse: relative error to which Table 3 gives a time.
    """
    products = read_table(benchmarks / "products.csv", ["library", "operator", "way", "gradients"])
    solvers = read_table(benchmarks / "solvers.csv", ["library", "method", "seconds", "residual"])
    captions = {f"caption-{name}": caption_of(figures, name) for name in FIGURES}
    claims = read_table(reference / "claims.csv", ["id", "verdict", "side", "figure", "tables"])
    return captions | {
        "costs": costs_block(read_table(reference / "costs.csv", ["rule", "jobs", "seconds"])),
        "claims": claims_block(claims),
        "verdicts": verdicts_block(claims),
        "ledger": ledger_block(claims),
        "table3": table3_block(
            read_table(reference / "timing.csv", ["procedure", "stage", "estimator", "seconds"]),
            read_table(reference / "accuracy.csv", ["sigma", "direct", "difference"]),
            rmse,
        ),
        "memory": memory_block(
            read_table(benchmarks / "probe_memory.csv", ["size", "dim", "k", "samples", "peak_bytes"]),
            read_table(benchmarks / "probe_overhead.csv", ["way", "repeat", "seconds"]),
        ),
        "scale": scale_block(
            read_table(
                benchmarks / "scale.csv",
                ["section", "rule", "size", "sequence_flops", "flops", "hours", "memory"],
            )
        ),
        "reliability": reliability_block(
            {
                name: read_table(benchmarks / f"{name}.csv", ["kind", "injected", "survived"])
                for name in COUNTS
            }
        ),
        "rounding": rounding_block(
            read_table(benchmarks / "rounding.csv", ["run", "condition", "stage", "differing", "largest"])
        ),
        "processors": processors_block(
            read_table(
                benchmarks / "processors.csv", ["id", "verdict", "verdict_reference", "shift", "agrees"]
            )
        ),
        "products": products_block(products),
        "solvers": solvers_block(solvers),
        "gpu": gpu_block(benchmarks / "gpu.csv"),
        "replicas": replicas_block(
            read_table(
                benchmarks / "replicas.csv",
                ["way", "replicas", "first_seconds", "gradient_seconds", "replica_gradients"],
            )
        ),
        "grid": grid_block(
            read_table(
                benchmarks / "grid.csv",
                [
                    "parameters",
                    "tokens",
                    "sequences",
                    "operation",
                    "nanoseconds",
                    "gigaflops",
                    "gigaflops_possible",
                ],
            )
        ),
    }


def fill_blocks(text: str, blocks: dict[str, str]) -> str:
    """Replace what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->` for each NAME."""
    for name, block in blocks.items():
        pattern = rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)"
        text = re.sub(pattern, lambda m, b=block: m[1] + b + "\n" + m[2], text, flags=re.DOTALL)
    return text


def caption_of(figures: Path, name: str) -> str:
    """What is printed beside a figure."""
    return (figures / f"{name}.txt").read_text(encoding="utf-8").strip()


def figures_page(figures: Path) -> str:
    """docs/figures.md: every figure of the catalogue by section, its caption, and its numbers to fold out."""
    parts = [FIGURES_HEAD, figure_files()]
    for section in dict.fromkeys(figure.section for figure in FIGURES.values()):
        parts.append(f"## {PAPERS[section]}")
        for name in figures_of(section):
            title = FIGURES[name].title
            parts += [f"### {title}", f"![{title}](../figures/{name}.png)", caption_of(figures, name)]
            parts += numbers_of(figures, name)
    return "\n\n".join(parts) + "\n"


def figure_files() -> str:
    """A Markdown table: which tables a figure is drawn from, and by which module."""
    lines = ["| figure | title | tables | module |", "|---|---|---|---|"]
    for name, figure in FIGURES.items():
        module = module_of(name).replace(".", "/")
        tables = ", ".join(f"`{table}`" for table in figure.tables)
        linked = f"[{module.removeprefix('valleyscope/')}.py](../src/{module}.py)"
        lines.append(_line([f"[`{name}`](../figures/{name}.svg)", figure.title, tables, linked]))
    return "\n".join(lines)


def numbers_of(figures: Path, name: str) -> list[str]:
    """What was read off a figure beside its caption, as a table to fold out; nothing where there is none."""
    table = pd.read_csv(figures / f"{name}.csv", dtype=str, keep_default_na=False)
    if not len(table):
        return []
    lines = ["| quantity | value |", "|---|---|", *(_line(row) for row in table.to_numpy().tolist())]
    return ["<details><summary>Numbers</summary>", "\n".join(lines), "</details>"]


def costs_block(table: pd.DataFrame) -> str:
    """A Markdown table of the costs, dearest rule first, then the run's wall-clock time."""
    lines = ["| rule | jobs | seconds, all jobs | longest job | memory, MB |", "|---|---|---|---|---|"]
    whole = table["rule"] == WHOLE_RUN
    for row in table[~whole].sort_values("seconds", ascending=False).itertuples():
        lines.append(
            f"| `{row.rule}` | {row.jobs} | {row.seconds:.0f} | {row.longest:.0f} | {row.memory:.0f} |"
        )
    last = table[whole].iloc[0]
    lines.append(
        f"| whole run, time in which a job ran | {last['jobs']} | {last['seconds']:.0f} "
        f"| | {last['memory']:.0f} |"
    )
    return "\n".join(lines)


def scale_block(table: pd.DataFrame) -> str:
    """A Markdown table of another configuration's estimated cost by rule, dearest first, and the total."""
    rate = (table["flops"] / table["hours"]).median() / 3600
    models = table.groupby("section", sort=False)[["size", "sequence_flops"]].first()
    sizes = " and ".join(f"{row.sequence_flops / 1e9:.3g}" for row in models.itertuples())
    lines = [
        f"N = {models['size'].max():,}; {sizes} GFLOP for a gradient of one sequence, Paper A and Paper B; "
        f"{rate / 1e12:.3g} TFLOP/s sustained.\n",
        "| rule | operations, PFLOP | hours | memory, GB |",
        "|---|---|---|---|",
    ]
    for row in table.sort_values("flops", ascending=False).itertuples():
        lines.append(f"| `{row.rule}` | {row.flops / 1e15:.3g} | {row.hours:.2g} | {row.memory / 1e9:.3g} |")
    lines.append(f"| all | {table['flops'].sum() / 1e15:.3g} | {table['hours'].sum():.2g} | |")
    return "\n".join(lines)


def replicas_block(table: pd.DataFrame) -> str:
    """Milliseconds a replica of one call, and seconds of a first call, by way and number of replicas."""
    each = 1e3 * table["gradient_seconds"] * table["replica_gradients"]
    by_way = table.assign(each=each).pivot(index="replicas", columns="way", values=["each", "first_seconds"])
    lines = [
        _line(
            ["replicas in a call", "eager, ms a replica", "compiled, ms a replica", "first compiled call, s"]
        ),
        "|---|---|---|---|",
    ]
    for count, row in by_way.iterrows():
        times = (row["each", "eager"], row["each", "compiled"])
        first = row["first_seconds", "compiled"]
        lines.append(_line([str(count), *(f"{time:.2f}" for time in times), f"{first:.1f}"]))
    return "\n".join(lines)


CHOICE = ((57_344, 16), (163_840, 32))  # N and tokens of the study so far, and of experiments to come


def grid_block(table: pd.DataFrame) -> str:
    """Nanoseconds a parameter and token by size, length and batch, and the share of the processor in use."""
    keys = ["operation", "sequences"]
    cells = table.pivot_table(
        index=["parameters", "tokens"], columns=keys, values="nanoseconds", observed=True
    )
    best = table["gigaflops"] / table["gigaflops_possible"]
    share = best.groupby([table["parameters"], table["tokens"]]).max()
    heads = [f"{operation}, {count}" for operation, count in cells.columns]
    possible = table["gigaflops_possible"].median()
    lines = [
        f"{possible:.0f} GFLOP/s possible in one thread: products of large matrices.\n",
        _line(["N", "tokens", *heads, "of what is possible, at best"]),
        "|---" * (3 + len(heads)) + "|",
    ]
    for (size, tokens), row in cells.iterrows():
        shown = ["–" if pd.isna(value) else f"{value:.2f}" for value in row]
        lines.append(_line([f"{size:,}", str(tokens), *shown, f"{share[size, tokens]:.0%}"]))
    if set(CHOICE) <= set(cells.index):
        lines += ["", _larger(cells["gradient"])]
    return "\n".join(lines)


def _larger(gradients: pd.DataFrame) -> str:
    """What the second of CHOICE costs over the first: gradients by (N, tokens) and sequences, nanoseconds."""
    small, large = CHOICE
    work = large[0] * large[1] / (small[0] * small[1])
    ratios = ", ".join(f"{work * ratio:.1f}" for ratio in gradients.loc[large] / gradients.loc[small])
    counts = ", ".join(map(str, gradients.columns))
    return (
        f"From N = {small[0]:,} and {small[1]} tokens to N = {large[0]:,} and {large[1]}, {work:.1f} times "
        f"the work, a gradient of {counts} sequences takes {ratios} times as long."
    )


def reliability_block(counts: dict[str, pd.DataFrame]) -> str:
    """A Markdown table of what was tried and what went well, with the command of each row."""
    lines = ["| checked | injected | survived | command |", "|---|---|---|---|"]
    for name, table in counts.items():
        for row in table.itertuples():
            lines.append(f"| {row.kind} | {row.injected:,} | {row.survived:,} | `{COUNTS[name]}` |")
    return "\n".join(lines)


def rounding_block(table: pd.DataFrame) -> str:
    """A Markdown table of the largest relative difference of any number of a stage, by run and condition."""
    conditions = list(table["condition"].unique())
    lines = ["| run | stage | " + " | ".join(conditions) + " |", "|---" * (2 + len(conditions)) + "|"]
    largest = table.pivot_table(index=["run", "stage"], columns="condition", values="largest", aggfunc="max")
    for (run, stage), row in largest.iterrows():
        cells = ["none" if row[name] == 0 else f"{row[name]:.1e}" for name in conditions]
        lines.append(_line([run, f"`{stage}`", *cells]))
    return "\n".join(lines)


def processors_block(table: pd.DataFrame) -> str:
    """What a run on another kind of processor said otherwise than the reference."""
    other = table[table["verdict"] != table["verdict_reference"]]
    flips = [f"{row.id} ({row.verdict}; reference: {row.verdict_reference})" for row in other.itertuples()]
    largest = table.loc[table["shift"].idxmax()]
    return (
        f"{table['agrees'].sum()} of {len(table)} claims agree with the reference within the tolerances of "
        f"`make check`. Other verdicts: {', '.join(flips) or 'none'}. The value that moved most is that of "
        f"{largest['id']}: by {largest['shift']:.2g} of the intervals."
    )


def claims_block(claims: pd.DataFrame) -> str:
    """The short table of claims: what was claimed, what was measured, the verdict, the figure behind it."""
    lines = ["| | claim | measured | claimed | verdict |", "|---|---|---|---|---|"]
    for row in claims.itertuples():
        linked = f"[**{row.verdict}**](figures/{row.figure}.png)"
        lines.append(_line([row.id, row.statement, measured(row), claimed(row), linked]))
    return "\n".join(lines)


def ledger_block(claims: pd.DataFrame) -> str:
    """Every column of claims.csv, a section a claim."""
    parts = []
    for row in claims.itertuples():
        named = [] if row.tables == "none" else row.tables.split()
        tables = ", ".join(f"`{name}.csv`" for name in named) or "no table"
        parts.append(
            f"## {row.id}: {row.statement}\n\n"
            f"**{row.verdict}** ({row.source}).\n\n"
            f"- Measured: {row.metric}: {measured(row)}; claimed: {claimed(row)}.\n"
            f"- Control: {row.control}.\n"
            f"- Scale: {row.scale}.\n"
            f"- Behind it: [{row.figure}](../figures/{row.figure}.png), {tables}."
        )
    return "\n\n".join(parts)


def verdicts_block(claims: pd.DataFrame) -> str:
    """Which claims of each paper got which verdict."""
    sentences = []
    for letter, name in (("A", "Paper A"), ("B", "Paper B"), ("C", "Both")):
        of_paper = claims[claims["id"].str.startswith(letter)]
        by_verdict = of_paper.groupby("verdict", sort=False)["id"].agg(", ".join)
        told = "; ".join(f"{verdict} {ids}" for verdict, ids in by_verdict.items())
        sentences.append(f"- {name}: {told}.")
    return "\n".join(sentences)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def table3_block(timing: pd.DataFrame, errors: pd.DataFrame, rmse: float) -> str:
    """Table 3 of Paper A with the columns it lacks."""
    lines = [
        "| procedure | estimator | I, s | II, s | III, s | evaluation / closed form | end to end, s "
        f"| end to end / closed form | products | s to {100 * rmse:g} % |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table3(timing, errors, rmse).itertuples():
        stages = [
            f"{getattr(row, s):.3g} ± {getattr(row, s + '_sd'):.2g}" if pd.notna(getattr(row, s)) else "–"
            for s in ("stage_1", "stage_2", "stage_3")
        ]
        reached = row.to_accuracy
        last = "–" if pd.isna(reached) else "never" if reached == float("inf") else f"{reached:.3g}"
        cells = [row.procedure, ESTIMATORS[row.estimator], *stages, f"{row.evaluation_ratio:,.0f}"]
        cells += [f"{row.end_to_end:.3g}", f"{row.end_to_end_ratio:.2f}", f"{row.products}", last]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def memory_block(memory: pd.DataFrame, overhead: pd.DataFrame) -> str:
    """What a probe of a large model took, and what the general path costs over the study's own calls."""
    row = memory.iloc[0]
    wide = overhead.pivot(index="repeat", columns="way", values="seconds")
    mean, low, high = student_interval(wide["probe"] / wide["study"] - 1)
    return (
        f"Measured on the reference machine: N = {row['size'] / 1e6:.1f} million weights in float32, D = "
        f"{row['dim']:.0f}, k = {row['k']:.0f}, S = {row['samples']:.0f} took "
        f"{row['peak_bytes'] / 2**30:.1f} GiB at the peak and {row['seconds'] / 60:.0f} minutes. On the "
        f"study's model `probe` takes {mean:.1%} "
        f"[{low:.1%}, {high:.1%}] more time than the study's own calls (mean and 95 % interval over "
        f"{len(wide)} turns)."
    )


def products_block(products: pd.DataFrame) -> str:
    """A Markdown table of the cost of one product, cheapest first, by operator."""
    gradient = products.query("operator == 'gradient'").iloc[0]
    lines = [
        "| operator | library, way | gradients (range) | memory returned | peak memory, gradients |",
        "|---|---|---|---|---|",
    ]
    table = product_costs(products)
    for operator in ("Hessian", "Gauss-Newton", "Fisher", "gradient noise"):
        for row in table[table["operator"] == operator].itertuples():
            cost = f"{row.median:.2f} ({row.min:.2f} to {row.max:.2f})"
            peak = row.peak / gradient["peak_bytes"]
            way = f"{row.library}, {row.way}"
            lines.append(f"| {operator} | {way} | {cost} | {row.returned:.2f} | {peak:.1f} |")
    return "\n".join(lines)


def solvers_block(solvers: pd.DataFrame) -> str:
    """A Markdown table of what the leading eigenpairs cost, fastest first."""
    lines = [
        "| library, method | seconds | gradients | products | worst residual / λ₁ |",
        "|---|---|---|---|---|",
    ]
    for row in solver_costs(solvers).itertuples():
        lines.append(
            f"| {row.library}, {row.method} | {row.seconds:.1f} | {row.gradients:.0f} "
            f"| {row.products:.0f} | {row.residual:.1e} |"
        )
    return "\n".join(lines)
