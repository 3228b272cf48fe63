"""What five subspaces see of an increment, and how the top eigenvectors do against random sets of them.

Example:
    python src/compare_subspaces.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors --regime trained \\
        --eigen eigen.safetensors --k 64 --dims 1 4 16 64 --sigmas 1e-4 1e-2 --sets 200 --batch 8 \\
        --draws 32 --tolerance 1e-3 --subspaces subspaces.csv --index-sets sets.csv --lemma5 lemma5.csv
"""

from pathlib import Path

import pandas as pd
import torch

import stage.arguments
import stage.point
import stage.problem
from valleyscope.eigen import EigenResult, converged_eigenpairs
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.increments import (
    IncrementOperator,
    check_point,
    increment_model,
    increment_model_in,
)
from valleyscope.landscape.spaces import full_space_draws, full_space_model
from valleyscope.landscape.subspaces import (
    compare_index_sets,
    compare_subspaces,
    increment_subspace,
    lemma5_assumptions,
    minibatch_gradients,
    orthonormal,
    random_subspace,
)
from valleyscope.models.model import sequence_losses


def main(args):
    data, _ = stage.problem.data(args)
    model = stage.problem.model(args, args.checkpoint)
    seed, dim = args.data_seed, max(args.dims)
    top = stage.point.eigenpairs(args, dim)
    mean = HessianOperator(model, sequence_losses, data[: args.k], memory_budget=args.memory_budget)
    check_point(args.k, len(data), dim, mean.size)
    sample = HessianOperator(model, sequence_losses, data[args.k : args.k + 1])
    increment = IncrementOperator(mean, sample)
    bottom = converged_eigenpairs(mean, dim, which="SA", tol=args.tolerance, seed=seed)
    gradients = minibatch_gradients(model, sequence_losses, data[: args.k], dim, args.batch, seed)
    others = {
        "random": random_subspace(mean.size, dim, seed),
        "gradients": orthonormal(gradients),
        "increment": increment_subspace(increment, dim, args.tolerance, seed),
    }
    # Eigenvectors of H^(k) need no product with it: their B takes the one sample alone.
    models = {name: increment_model(mean, e, sample) for name, e in (("top", top), ("bottom", bottom))}
    models |= {name: increment_model_in(increment, b.to(mean.device)) for name, b in others.items()}
    full = full_space_model(increment, [full_space_draws(mean.size, args.draws, seed)])
    table = compare_subspaces(models, full, mean.size, args.dims, args.sigmas)

    pool = EigenResult(
        torch.cat([top.values, bottom.values]),
        torch.cat([top.vectors, bottom.vectors], dim=1),
        torch.cat([top.residuals, bottom.residuals]),
        matvecs=0,
        converged=True,
    )
    curvature = increment_model(mean, pool, sample).curvature
    sets = compare_index_sets(curvature, args.dims, args.sets, seed)
    lemma = lemma5_assumptions(curvature[:dim, :dim], top.values.cpu().numpy())
    lemma["lambda_min"] = bottom.values[0].item()
    outputs = [(table, args.subspaces), (sets, args.index_sets), (pd.DataFrame([lemma]), args.lemma5)]
    stage.point.write(args, *outputs, may_be_empty=["rank_correlation"])  # of one eigenvalue


if __name__ == "__main__":
    parser = stage.point.eigen_parser(__doc__)
    parser.add_argument("--dims", type=int, nargs="+", required=True, help="D")
    parser.add_argument("--sigmas", type=float, nargs="+", required=True, help="probe widths of the spread")
    parser.add_argument("--sets", type=int, required=True, help="random index sets")
    parser.add_argument("--batch", type=int, required=True, help="sequences of a minibatch gradient")
    parser.add_argument("--draws", type=int, required=True, help="random vectors of the traces")
    parser.add_argument("--tolerance", type=float, required=True, help="residual over λ₁")
    parser.add_argument("--subspaces", type=Path, required=True, help="CSV to write")
    parser.add_argument("--index-sets", type=Path, required=True, help="CSV to write")
    parser.add_argument("--lemma5", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
