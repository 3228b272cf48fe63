"""Estimate Δ₁, Δ₂ and Δ₂^(D) at each point by every estimator, and what they are made of.

Example:
    python src/estimate_criteria.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 8192 --data-seed 0 --held-out-sequences 256 \\
        --at '[{"regime": "trajectory", "k": 64, "dims": [1, 4, 16]}]' --checkpoint w_64.safetensors \\
        --eigen eigen_64.safetensors --candidates 32 --candidate-draws 8 \\
        --sigmas 1e-4 1e-3 1e-2 --samples 24 --estimates criteria.csv --terms terms.csv --point point.csv
"""

import stage.arguments
import stage.point

import pandas as pd

from valleyscope.artifacts import read_json, sidecar
from valleyscope.errors import InputError
from valleyscope.landscape.estimators import Grid, estimate_criteria
from valleyscope.landscape.increments import describe_point
from valleyscope.models.model import sequence_losses

# An exact estimate has no error; full space has no bound of D.
EMPTY = ["standard_error", "variance", "published_bound", "sharper_bound"]


def main(args):
    stage.point.measure(args, ["estimates", "terms", "point"], at_point, may_be_empty=EMPTY)


def at_point(args, point):
    found = len(point.held_out)
    if args.candidates > found:
        raise InputError(f"--candidates {args.candidates} exceeds the {found} held-out sequences")
    # More eigenpairs would cost products with every candidate.
    eigen = stage.point.eigenpairs(args.eigen, args.device, max(args.dims))
    grid = Grid(args.dims, args.sigmas, args.samples, args.data_seed, args.candidate_draws)
    problem = (point.model, sequence_losses, point.operator, point.data)
    candidates = point.held_out[: args.candidates]
    estimates, terms, bounds = estimate_criteria(*problem, candidates, eigen, grid)
    reached = read_json(sidecar(args.checkpoint)).get("stationarity")  # of a search for a minimiser
    described = {
        **describe_point(*problem, point.held_out, reached),
        "lambda_max": eigen.values[0].item(),
        "loss_bound": bounds.loss,
        "gradient_bound": bounds.gradient,
        "curvature_bound": bounds.curvature,
    }
    return {"estimates": estimates, "terms": terms, "point": pd.DataFrame([described])}


if __name__ == "__main__":
    parser = stage.point.eigen_parser(__doc__, dims=list)
    stage.arguments.add(parser, "candidates", "sigmas", "samples")
    parser.add_argument("--candidate-draws", type=int, required=True, help="random vectors of their traces")
    stage.point.add_tables(parser, estimates="a row an estimate", terms="a row a cell", point="a row a point")
    stage.arguments.run(main, parser)
