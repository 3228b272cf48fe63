"""Held-out quality and curvature of path interiors, of means of two children, and of averages along SGD.

Example:
    python src/evaluate_averages.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --path path.safetensors --family family.safetensors \\
        --branches 0 50 100 200 400 --pair 0-1 --parent 0 --positions 0.25 0.5 0.75 --probes 8 --seed 0 \\
        --sgd '{"learning_rate": 0.05, "momentum": 0.9, "batch": 4, "steps": 600, "period": 15}' \\
        --out averages.csv
"""

import stage.arguments
import stage.family
import stage.path
import stage.problem

import pandas as pd

from valleyscope.artifacts import write_table
from valleyscope.connectivity.averages import held_out_scores, stochastic_average
from valleyscope.dynamics import SgdSettings
from valleyscope.engine.weights import at_weights
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import sequence_losses
from valleyscope.traces import traces


def points(args, model, data):
    """(source, repeat, branch, point, weights) of everything that is evaluated."""
    path = stage.path.load(args)
    for name, t in {"end 0": 0.0, "end 1": 1.0, **{f"{t:g}": t for t in args.positions}}.items():
        yield "path", args.pair, None, name, path.point(t)
    children, _ = stage.family.load(args)
    for branch, (first, second) in zip(args.branches, children, strict=True):
        for name, w in (("end 0", first), ("end 1", second), ("middle", (first + second) / 2)):
            yield "children", args.parent, branch, name, w
    last, average = stochastic_average(
        model, sequence_losses, data, path.point(0.0), args.sgd, seed=args.seed
    )
    for name, w in (("last", last), ("average", average)):
        yield "swa", args.pair, None, name, w


def evaluated(args, model, data, held_out, weights):
    """Losses, accuracy and Tr H at weights (N,)."""
    with at_weights(model, weights):
        operator = HessianOperator(model, sequence_losses, data, memory_budget=args.memory_budget)
        trace = traces(operator, args.probes, args.seed).trace
        scores = held_out_scores(model(held_out[:, :-1]).detach(), held_out[:, 1:])
    return {"train_loss": operator.loss, **scores, "trace": trace.mean, "trace_se": trace.standard_error}


def main(args):
    data, held_out = stage.problem.data(args)
    model = stage.problem.model(args)
    total = 2 + len(args.positions) + 3 * len(args.branches) + 2
    rows = []
    with stage.arguments.progress(total, f"averages {args.pair}", "point") as bar:
        for source, repeat, branch, name, weights in points(args, model, data):
            keys = {"source": source, "repeat": repeat, "branch": branch, "point": name}
            rows.append(keys | evaluated(args, model, data, held_out, weights))
            bar.update()
    table = pd.DataFrame(rows).astype({"branch": "Int64"})
    meta = stage.arguments.meta(args, args.tokens, args.path, args.family)
    write_table(table, args.out, meta, may_be_empty=["branch"])


if __name__ == "__main__":
    parser = stage.path.bare_parser(__doc__)
    stage.problem.add_compiled(parser)
    parser.add_argument("--positions", type=float, nargs="+", required=True, help="inside the path")
    stage.family.add(parser)
    stage.arguments.add_settings(parser, sgd=SgdSettings)
    stage.arguments.add(parser, "probes")
    stage.arguments.add_files(parser, out="CSV, a row a point")
    stage.arguments.run(main, parser)
