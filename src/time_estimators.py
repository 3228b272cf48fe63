"""Time the stages of Δ₂^(D) on one model: I subspace, II coefficients, III evaluation (Table 3).

Example:
    python src/time_estimators.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 8192 --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors \\
        --k 64 --dim 16 --sigma 1e-2 --samples 64 --tolerance 1e-3 --repeats 5 --threads 2 \\
        --out timing.csv
"""

from pathlib import Path
from statistics import median

import pandas as pd

import _problem
import _stage
from valleyscope.artifacts import write_table
from valleyscope.criteria import standard_normals
from valleyscope.eigen import top_eigenpairs
from valleyscope.hessian import HessianOperator
from valleyscope.increments import direct_increments, increment_model
from valleyscope.model import sequence_losses
from valleyscope.timing import seconds


def main(args):
    data, _ = _problem.data(args)
    model = _problem.model(args, args.checkpoint)
    seed = args.data_seed
    displacements = args.sigma * standard_normals(args.samples, args.dim, seed)

    def gradient():
        sequence_losses(model, data[: args.k]).mean().backward()
        model.zero_grad()

    def subspace():
        operator = HessianOperator(model, sequence_losses, data[: args.k], memory_budget=args.memory_budget)
        return operator, top_eigenpairs(operator, args.dim, tol=args.tolerance, seed=seed)

    operator, eigen = subspace()

    def coefficients():
        sample = HessianOperator(model, sequence_losses, data[args.k : args.k + 1])
        return increment_model(operator, eigen, sample, args.k)

    quadratic = coefficients()

    def direct():
        return direct_increments(model, sequence_losses, data, eigen.vectors, displacements, args.k)

    calls = [
        ("gradient", "", gradient, 0),
        ("I subspace", "", subspace, eigen.matvecs),
        ("II coefficients", "", coefficients, args.dim),
        ("III evaluation", "direct", direct, 0),
        ("III evaluation", "quadratic", lambda: quadratic.monte_carlo(args.sigma, args.samples, seed), 0),
        ("III evaluation", "gaussian_moment", lambda: quadratic.gaussian_moment(args.sigma), 0),
    ]
    rows = []
    with _stage.progress(len(calls), "time stages", "call") as bar:
        for stage, estimator, call, products in calls:
            times = seconds(call, args.repeats, args.device)
            rows += [(stage, estimator, i, t, products) for i, t in enumerate(times)]
            bar.update()
    table = pd.DataFrame(rows, columns=["stage", "estimator", "repeat", "seconds", "products"])
    unit = median(table.query("stage == 'gradient'")["seconds"])
    table["gradients"] = table["seconds"] / unit
    write_table(table, args.out, _stage.meta(args, args.tokens, args.checkpoint))


if __name__ == "__main__":
    parser = _problem.curvature_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="weights")
    parser.add_argument("--k", type=int, required=True, help="sequences before the one added")
    parser.add_argument("--dim", type=int, required=True, help="D")
    parser.add_argument("--sigma", type=float, required=True, help="probe width")
    parser.add_argument("--samples", type=int, required=True, help="Monte Carlo draws")
    parser.add_argument("--tolerance", type=float, required=True, help="residual over λ₁")
    parser.add_argument("--repeats", type=int, required=True, help="timed calls of each stage")
    parser.add_argument("--out", type=Path, required=True, help="CSV, a row a timed call")
    _stage.run(main, parser)
