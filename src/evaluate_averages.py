"""Held-out quality and curvature of path interiors, of means of two children, and of averages along SGD.

Example:
    python src/evaluate_averages.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --path path.safetensors --family family.safetensors \\
        --branches 0 50 100 200 400 --pair 0-1 --parent 0 --probes 8 --seed 0 \\
        --sgd '{"learning_rate": 0.05, "momentum": 0.9, "batch": 4, "steps": 600, "period": 15}' \\
        --out averages.csv
"""

from pathlib import Path

import pandas as pd

import stage.arguments
import stage.problem
from valleyscope.artifacts import load_tensors, write_table
from valleyscope.connectivity.averages import held_out_scores, stochastic_average
from valleyscope.dynamics import SgdSettings
from valleyscope.engine.weights import at_weights
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import sequence_losses
from valleyscope.paths import Path as WeightPath
from valleyscope.traces import traces

INSIDE = (0.25, 0.5, 0.75)


def points(args, model, data):
    """(source, repeat, branch, point, weights) of everything that is evaluated."""
    path = WeightPath(load_tensors(args.path, ["pivots"])["pivots"].to(args.device))
    for name, t in [("end 0", 0.0), ("end 1", 1.0), *((f"{t:g}", t) for t in INSIDE)]:
        yield "path", args.pair, None, name, path.point(t)
    children = load_tensors(args.family, ["children"])["children"].to(args.device)
    for branch, (first, second) in zip(args.branches, children, strict=True):
        for name, w in (("end 0", first), ("end 1", second), ("middle", (first + second) / 2)):
            yield "children", args.parent, branch, name, w
    last, average = stochastic_average(
        model, sequence_losses, data, path.point(0.0), args.sgd, seed=args.seed
    )
    for name, w in (("last", last), ("average", average)):
        yield "swa", args.pair, None, name, w


def main(args):
    data, held_out = stage.problem.data(args)
    model = stage.problem.model(args)
    total = 2 + len(INSIDE) + 3 * len(args.branches) + 2
    rows = []
    with stage.arguments.progress(total, f"averages {args.pair}", "point") as bar:
        for source, repeat, branch, name, weights in points(args, model, data):
            with at_weights(model, weights):
                operator = HessianOperator(model, sequence_losses, data, memory_budget=args.memory_budget)
                trace = traces(operator, args.probes, args.seed).trace
                scores = held_out_scores(model(held_out[:, :-1]).detach(), held_out[:, 1:])
            rows.append(
                {"source": source, "repeat": repeat, "branch": branch, "point": name}
                | {"train_loss": operator.loss, **scores}
                | {"trace": trace.mean, "trace_se": trace.standard_error}
            )
            bar.update()
    table = pd.DataFrame(rows).astype({"branch": "Int64"})
    meta = stage.arguments.meta(args, args.tokens, args.path, args.family)
    write_table(table, args.out, meta, may_be_empty=["branch"])


if __name__ == "__main__":
    parser = stage.problem.curvature_parser(__doc__)
    parser.add_argument("--path", type=Path, required=True, help="safetensors: pivots")
    parser.add_argument("--pair", required=True, help="name of its ends")
    parser.add_argument("--family", type=Path, required=True, help="safetensors: children")
    parser.add_argument("--parent", type=int, required=True, help="seed of the parent")
    parser.add_argument("--branches", type=int, nargs="+", required=True, help="steps, in the file's order")
    parser.add_argument(
        "--sgd", type=stage.arguments.settings(SgdSettings), required=True, help="of the average"
    )
    parser.add_argument("--probes", type=int, required=True, help="random vectors of a trace")
    parser.add_argument("--seed", type=int, required=True, help="of every random draw")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
