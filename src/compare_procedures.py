"""The published procedure beside the corrected one at one point: eigenpairs, B, closed form, Monte Carlo.

Example:
    python src/compare_procedures.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors --regime trained --k 8 \\
        --dim 45 --steps 20 --sigma 1e-3 --samples 32 --tolerance 1e-3 --out published.csv \\
        --eigenvalues published_eigenvalues.csv
"""

from pathlib import Path

import pandas as pd
import torch

import stage.arguments
import stage.point
import stage.problem
from valleyscope.criteria import standard_normals
from valleyscope.eigen import converged_eigenpairs
from valleyscope.estimate import Estimate
from valleyscope.hessian import HessianOperator
from valleyscope.landscape import published
from valleyscope.landscape.increments import (
    IncrementOperator,
    direct_increments,
    increment_model,
    increment_model_in,
)
from valleyscope.models.model import sequence_losses


def findings(operator, values, vectors, quadratic, increment, squares, sigma):
    """What the table says of one procedure, and its eigenvalues beside uᵀHu."""
    U = vectors.double()
    images = operator.matmat(vectors).double()
    rayleigh = (U * images).sum(0) / U.square().sum(0)
    residuals = (images - rayleigh * U).norm(dim=0) / U.norm(dim=0)
    identity = torch.eye(U.shape[1]).to(U)
    estimate = Estimate.of(squares)
    quantities = {
        "orthogonality": (U.T @ U - identity).abs().max().item(),
        "wrong_signs": int((values.cpu().sign() != rayleigh.cpu().sign()).sum()),
        "residual": (residuals.max() / rayleigh.max()).item(),
        "norm_B": float((quadratic.curvature**2).sum() ** 0.5),
        "norm_B_exact": float((increment_model_in(increment, vectors).curvature ** 2).sum() ** 0.5),
        "gaussian_moment": quadratic.gaussian_moment(sigma),
        "direct": estimate.mean,
        "direct_se": estimate.standard_error,
        "value": quadratic.value**2,
    }
    eigenvalues = {
        "rank": range(1, len(values) + 1),
        "eigenvalue": values.cpu().numpy(),
        "rayleigh": rayleigh.cpu().numpy(),
    }
    rows = [{"quantity": name, "value": value} for name, value in quantities.items()]
    return pd.DataFrame(rows), pd.DataFrame(eigenvalues)


def main(args):
    data, _ = stage.problem.data(args)
    model = stage.problem.model(args, args.checkpoint)
    k, seed = args.k, args.data_seed
    mean = HessianOperator(model, sequence_losses, data[:k], memory_budget=args.memory_budget)
    sample = HessianOperator(model, sequence_losses, data[k : k + 1])
    increment = IncrementOperator(mean, sample)
    z = args.sigma * standard_normals(args.samples, args.dim, seed)
    tables = []

    eigen = converged_eigenpairs(mean, args.dim, tol=args.tolerance, seed=seed)
    model_of_increment = increment_model(mean, eigen, sample)
    U = eigen.vectors.double()
    displacements = torch.as_tensor(z).to(U) @ U.T
    squares = direct_increments(model, sequence_losses, data[:k], data[k : k + 1], displacements)[:, 0] ** 2
    found = (mean, eigen.values, eigen.vectors, model_of_increment, increment, squares, args.sigma)
    tables.append([t.assign(procedure="corrected") for t in findings(*found)])

    subsample = published.MicrobatchedHessian(model, sequence_losses, published.evenly_spaced(data[:k]))
    values, vectors = published.deflated_power_iteration(subsample, args.dim, args.steps, seed)
    model_of_increment = published.coefficients(model, sequence_losses, data, k, vectors)
    squares = published.unbatched_increments(model, sequence_losses, data, k, vectors, z) ** 2
    found = (subsample, values, vectors, model_of_increment, increment, squares, args.sigma)
    tables.append([t.assign(procedure="published") for t in findings(*found)])

    quantities, eigenvalues = (pd.concat(pair, ignore_index=True) for pair in zip(*tables, strict=True))
    stage.point.write(args, (quantities, args.out), (eigenvalues, args.eigenvalues))


if __name__ == "__main__":
    parser = stage.point.parser(__doc__)
    parser.add_argument("--dim", type=int, required=True, help="D")
    parser.add_argument("--steps", type=int, required=True, help="of power iteration, a pair")
    parser.add_argument("--sigma", type=float, required=True, help="probe width")
    parser.add_argument("--samples", type=int, required=True, help="Monte Carlo draws")
    parser.add_argument("--tolerance", type=float, required=True, help="residual over λ₁")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    parser.add_argument("--eigenvalues", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
