"""What five subspaces see of an increment, and how the top eigenvectors do against random sets of them.

Example:
    python src/compare_subspaces.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --at '[{"regime": "trained", "k": 64}]' \\
        --checkpoint model.safetensors --eigen eigen.safetensors --dims 1 4 16 64 --sigmas 1e-4 1e-2 \\
        --sets 200 --batch 8 --draws 32 --tolerance 1e-3 --subspaces subspaces.csv \\
        --index-sets sets.csv --lemma5 lemma5.csv
"""

import stage.arguments
import stage.point

import pandas as pd
import torch

from valleyscope.eigen import EigenResult, converged_eigenpairs
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

EMPTY = ["rank_correlation"]  # of one eigenvalue


def main(args):
    stage.point.measure(args, ["subspaces", "index_sets", "lemma5"], at_point, may_be_empty=EMPTY)


def at_point(args, point):
    seed, dim = args.data_seed, max(args.dims)
    top = stage.point.eigenpairs(args.eigen, args.device, dim)
    mean, size = point.operator, point.operator.size
    check_point(args.k, len(point.data), dim, size)
    increment = IncrementOperator(mean, point.sample)
    bottom = converged_eigenpairs(mean, dim, which="SA", tol=args.tolerance, seed=seed)
    gradients = minibatch_gradients(point.model, sequence_losses, point.known, dim, args.batch, seed)
    others = {
        "random": random_subspace(size, dim, seed),
        "gradients": orthonormal(gradients),
        "increment": increment_subspace(increment, dim, args.tolerance, seed),
    }
    # Eigenvectors of H^(k) need no product with it: their B takes the one sample alone.
    known = {"top": top, "bottom": bottom}
    models = {name: increment_model(mean, eigen, point.sample) for name, eigen in known.items()}
    models |= {name: increment_model_in(increment, basis.to(mean.device)) for name, basis in others.items()}
    full = full_space_model(increment, [full_space_draws(size, args.draws, seed)])
    table = compare_subspaces(models, full, size, args.dims, args.sigmas)

    curvature = increment_model(mean, joined(top, bottom), point.sample).curvature
    sets = compare_index_sets(curvature, args.dims, args.sets, seed)
    lemma = lemma5_assumptions(curvature[:dim, :dim], top.values.cpu().numpy())
    lemma["lambda_min"] = bottom.values[0].item()
    return {"subspaces": table, "index_sets": sets, "lemma5": pd.DataFrame([lemma])}


def joined(first, second):
    """The eigenpairs of both, a pool to draw from."""
    parts = [torch.cat([getattr(first, name), getattr(second, name)], dim=-1) for name in stage.point.PAIRS]
    return EigenResult(*parts, matvecs=0, converged=True)


if __name__ == "__main__":
    parser = stage.point.eigen_parser(__doc__)
    stage.arguments.add(parser, "dims", "sigmas", "tolerance")
    parser.add_argument("--sets", type=int, required=True, help="random index sets")
    parser.add_argument("--batch", type=int, required=True, help="sequences of a minibatch gradient")
    parser.add_argument("--draws", type=int, required=True, help="random vectors of the traces")
    stage.point.add_tables(
        parser, subspaces="a row a subspace, D and σ", index_sets="a row a set", lemma5="a row a point"
    )
    stage.arguments.run(main, parser)
