"""Estimate Δ₁, Δ₂ and Δ₂^(D) at one point by every estimator, and what they are made of.

Example:
    python src/estimate_criteria.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 8192 --data-seed 0 --held-out-sequences 256 --checkpoint w_64.safetensors \\
        --regime trajectory --eigen eigen.safetensors --k 64 --candidates 32 --candidate-draws 8 \\
        --dims 1 4 16 --sigmas 1e-4 1e-3 1e-2 --samples 24 \\
        --estimates criteria.csv --terms terms.csv --point point.csv
"""

from pathlib import Path

import pandas as pd
import torch

import stage.arguments
import stage.point
import stage.problem
from valleyscope.artifacts import read_json, sidecar
from valleyscope.engine.noise import scores
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.estimators import Grid, estimate_criteria
from valleyscope.models.model import sequence_losses

SCORES_AT_ONCE = 64


def stationarity(args, model, data, operator):
    """‖∇F‖² / (E‖g_i‖²/k): what the search for a minimiser reached, or with F = L_k elsewhere."""
    reached = read_json(sidecar(args.checkpoint)).get("stationarity")
    if reached is not None:
        return reached
    parts = (scores(model, sequence_losses, part) for part in data[: args.k].split(SCORES_AT_ONCE))
    noise = sum(part.double().square().sum().item() for part in parts) / args.k**2
    return operator.gradient().double().square().sum().item() / noise


def main(args):
    data, held_out = stage.problem.data(args)
    if args.candidates > len(held_out):
        raise InputError(f"--candidates {args.candidates} exceeds the {len(held_out)} held-out sequences")
    model = stage.problem.model(args, args.checkpoint)
    eigen = stage.point.eigenpairs(args, max(args.dims))  # more would cost products with every candidate
    operator = HessianOperator(model, sequence_losses, data[: args.k], memory_budget=args.memory_budget)
    grid = Grid(args.dims, args.sigmas, args.samples, args.data_seed, args.candidate_draws)
    estimates, terms, bounds = estimate_criteria(
        model, sequence_losses, operator, data, held_out[: args.candidates], eigen, grid
    )
    with torch.no_grad():
        others = sequence_losses(model, held_out).double()
        next_loss = sequence_losses(model, data[args.k : args.k + 1]).double()
    slope = (
        HessianOperator(model, sequence_losses, data[args.k : args.k + 1]).gradient() - operator.gradient()
    )
    point = {
        "loss": operator.loss,
        "next_loss": next_loss.item(),
        "held_out_loss": others.mean().item(),
        "next_square": (others - operator.loss).square().mean().item(),
        "next_variance": others.var().item(),
        "gradient_norm": operator.gradient().double().norm().item(),
        "stationarity": stationarity(args, model, data, operator),
        "slope_square": slope.double().square().sum().item(),
        "lambda_max": eigen.values[0].item(),
        "loss_bound": bounds.loss,
        "gradient_bound": bounds.gradient,
        "curvature_bound": bounds.curvature,
    }
    tables = [estimates, terms, pd.DataFrame([point])]
    outputs = zip(tables, (args.estimates, args.terms, args.point), strict=True)
    # An exact estimate has no error; full space has no bound of D.
    empty = ["standard_error", "variance", "published_bound", "sharper_bound"]
    stage.point.write(args, *outputs, may_be_empty=empty)


if __name__ == "__main__":
    parser = stage.point.eigen_parser(__doc__)
    parser.add_argument("--candidates", type=int, required=True, help="held-out sequences for the next one")
    parser.add_argument("--candidate-draws", type=int, required=True, help="random vectors of their traces")
    parser.add_argument("--dims", type=int, nargs="+", required=True, help="D")
    parser.add_argument("--sigmas", type=float, nargs="+", required=True, help="probe widths")
    parser.add_argument("--samples", type=int, required=True, help="Monte Carlo draws")
    parser.add_argument("--estimates", type=Path, required=True, help="CSV to write")
    parser.add_argument("--terms", type=Path, required=True, help="CSV to write")
    parser.add_argument("--point", type=Path, required=True, help="CSV to write, one row")
    stage.arguments.run(main, parser)
