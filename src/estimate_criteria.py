"""Estimate Δ₂^(D) at one k by closed form, quadratic and direct Monte Carlo over a grid of D and σ.

Example:
    python src/estimate_criteria.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 8192 --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors \\
        --eigen eigen.safetensors --k 64 --dims 1 4 16 --sigmas 1e-3 1e-2 --samples 64 \\
        --estimates criteria.csv --terms terms.csv
"""

from pathlib import Path

import _problem
import _stage
from valleyscope.artifacts import load_tensors, write_table
from valleyscope.eigen import EigenResult
from valleyscope.increments import estimate_criteria
from valleyscope.model import sequence_losses


def main(args):
    data, _ = _problem.data(args)
    model = _problem.model(args, args.checkpoint)
    names = ["values", "vectors", "residuals"]
    saved = load_tensors(args.eigen, names)
    eigen = EigenResult(*(saved[name].to(args.device) for name in names), matvecs=0, converged=True)
    tables = estimate_criteria(
        model,
        sequence_losses,
        data,
        eigen,
        args.k,
        dims=args.dims,
        sigmas=args.sigmas,
        samples=args.samples,
        seed=args.data_seed,
        memory_budget=args.memory_budget,
    )
    for table, path in zip(tables, (args.estimates, args.terms), strict=True):
        table.insert(0, "seed", args.data_seed)
        table.insert(1, "k", args.k)
        write_table(table, path, _stage.meta(args, args.tokens, args.checkpoint, args.eigen))


if __name__ == "__main__":
    parser = _problem.curvature_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="weights")
    parser.add_argument("--eigen", type=Path, required=True, help="eigenpairs of H^(k)")
    parser.add_argument("--k", type=int, required=True, help="sequences before the one added")
    parser.add_argument("--dims", type=int, nargs="+", required=True, help="D")
    parser.add_argument("--sigmas", type=float, nargs="+", required=True, help="probe widths")
    parser.add_argument("--samples", type=int, required=True, help="Monte Carlo draws")
    parser.add_argument("--estimates", type=Path, required=True, help="CSV to write")
    parser.add_argument("--terms", type=Path, required=True, help="CSV to write")
    _stage.run(main, parser)
