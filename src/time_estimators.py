"""Time the stages of Δ₂^(D) on one model (Table 3), the published procedure beside them, and their accuracy.

At the smallest k everything is timed; at the others stage II alone, to show how it grows with k.

Example:
    python src/time_estimators.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 8192 --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors \\
        --k 8 1024 --dim 45 --steps 20 --sigmas 1e-3 1e-2 --samples 64 --tolerance 1e-3 --repeats 5 \\
        --threads 2 --out timing.csv --accuracy accuracy.csv
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

import stage.arguments
import stage.point
import stage.problem

import numpy as np
import pandas as pd
import torch

from valleyscope.artifacts import write_table
from valleyscope.criteria import IncrementModel, standard_normals
from valleyscope.eigen import EigenResult, converged_eigenpairs
from valleyscope.engine.timing import seconds
from valleyscope.estimate import Estimate
from valleyscope.hessian import HessianOperator
from valleyscope.landscape import published
from valleyscope.landscape.increments import direct_increments, increment_model
from valleyscope.models.model import sequence_losses

LOOSE = 0.1  # tolerance where only stage II is timed: its cost does not depend on it


@dataclass(frozen=True)
class Timed:
    """A row of Table 3: a call, and the products with a Hessian that it takes."""

    procedure: str
    stage: str
    estimator: str
    call: Callable[[], object]
    products: int


@dataclass(frozen=True)
class Prepared:
    """A point with what the later stages start from."""

    point: stage.point.Point
    operator: HessianOperator
    eigen: EigenResult
    quadratic: IncrementModel
    normals: np.ndarray  # z/σ (S, D)


def subspace(args, point, tolerance):
    """Stage I."""
    operator = point.hessian(point.known)
    return operator, converged_eigenpairs(operator, args.dim, tol=tolerance, seed=args.data_seed)


def coefficients(point, operator, eigen):
    """Stage II."""
    sample = HessianOperator(point.model, sequence_losses, point.following, keep_graph=True)
    return increment_model(operator, eigen, sample)


def prepared(args, point, tolerance):
    operator, eigen = subspace(args, point, tolerance)
    normals = standard_normals(args.samples, args.dim, args.data_seed)
    return Prepared(point, operator, eigen, coefficients(point, operator, eigen), normals)


def direct(at, sigma):
    """True increments along the draws, several points in one batched computation."""
    U, point = at.eigen.vectors.double(), at.point
    displacements = torch.as_tensor(sigma * at.normals).to(U) @ U.T
    return direct_increments(point.model, sequence_losses, point.known, point.following, displacements)[:, 0]


def unbatched(at, vectors, sigma):
    """The same in any basis one point after the other, as published."""
    point, z = at.point, sigma * at.normals
    return published.unbatched_increments(point.model, sequence_losses, point.data, point.k, vectors, z)


def gradient(point):
    sequence_losses(point.model, point.known).mean().backward()
    point.model.zero_grad()


def set_up(args, at):
    """Stage II beside one gradient: does it grow with k?"""
    second = partial(coefficients, at.point, at.operator, at.eigen)
    return [
        Timed("corrected", "gradient", "", partial(gradient, at.point), 0),
        Timed("corrected", "II coefficients", "", second, args.dim),
    ]


def evaluation(args, procedure, quadratic, samplers, sigma):
    """Stage III of one procedure."""
    closed = {
        "quadratic": partial(quadratic.monte_carlo, sigma, args.samples, args.data_seed),
        "gaussian_moment": partial(quadratic.gaussian_moment, sigma),
    }
    return [Timed(procedure, "III evaluation", n, call, 0) for n, call in (samplers | closed).items()]


def corrected(args, at, sigma):
    first = partial(subspace, args, at.point, args.tolerance)
    samplers = {
        "direct": partial(direct, at, sigma),
        "direct_unbatched": partial(unbatched, at, at.eigen.vectors, sigma),
    }
    return [
        Timed("corrected", "I subspace", "", first, at.eigen.matvecs),
        *evaluation(args, "corrected", at.quadratic, samplers, sigma),
    ]


def as_published(args, at, sigma):
    point, problem = at.point, (at.point.model, sequence_losses)
    few = published.evenly_spaced(point.known)

    def first():
        operator = published.MicrobatchedHessian(*problem, few)
        found = published.deflated_power_iteration(operator, args.dim, args.steps, args.data_seed)
        return operator.matvecs, found[1]

    products, vectors = first()
    second = partial(published.coefficients, *problem, point.data, point.k, vectors)
    samplers = {"direct_unbatched": partial(unbatched, at, vectors, sigma)}
    return [
        Timed("published", "I subspace", "", first, products),
        Timed("published", "II coefficients", "", second, 2 * args.dim),
        *evaluation(args, "published", second(), samplers, sigma),
    ]


def accuracy(args, at, sigma):
    """Errors of each estimator at this σ: results/README.md, accuracy.csv."""
    true, modelled = direct(at, sigma), at.quadratic.at(sigma * at.normals)
    found, quadratic = Estimate.of(true**2), Estimate.of(modelled**2)
    difference = Estimate.of(true**2 - modelled**2)
    return {
        "k": at.point.k,
        "dim": args.dim,
        "sigma": sigma,
        "samples": args.samples,
        "gaussian_moment": at.quadratic.gaussian_moment(sigma),
        "value": at.quadratic.value**2,
        "direct": found.mean,
        "direct_se": found.standard_error,
        "quadratic_se": quadratic.standard_error,
        "difference": difference.mean,
        "difference_se": difference.standard_error,
    }


def timed(args, calls):
    """Rows of the table: each call of (k, Timed) as often as it is repeated, also in gradients of that k."""
    rows = []
    with stage.arguments.progress(len(calls), "time stages", "call") as bar:
        for k, row in calls:
            cell = {"procedure": row.procedure, "k": k, "dim": args.dim, "stage": row.stage}
            cell["estimator"] = row.estimator
            for repeat, taken in enumerate(seconds(row.call, args.repeats, args.device)):
                rows.append({**cell, "repeat": repeat, "seconds": taken, "products": row.products})
            bar.update()
    table = pd.DataFrame(rows)
    unit = {k: median(t["seconds"]) for k, t in table[table["stage"] == "gradient"].groupby("k")}
    return table.assign(gradients=table["seconds"] / table["k"].map(unit))


def main(args):
    data = stage.problem.data(args)
    model = stage.problem.model(args, args.checkpoint)
    points = [stage.point.Point(model, *data, k, args.memory_budget) for k in sorted(args.k)]
    sigma = sorted(args.sigmas)[len(args.sigmas) // 2]
    at = prepared(args, points[0], args.tolerance)
    rows = [*set_up(args, at), *corrected(args, at, sigma), *as_published(args, at, sigma)]
    calls = [(at.point.k, row) for row in rows]
    for point in points[1:]:
        calls += [(point.k, row) for row in set_up(args, prepared(args, point, LOOSE))]
    errors = pd.DataFrame([accuracy(args, at, s) for s in args.sigmas])
    meta = stage.arguments.meta(args, args.tokens, args.checkpoint)
    write_table(timed(args, calls), args.out, meta)
    write_table(errors, args.accuracy, meta)


if __name__ == "__main__":
    parser = stage.problem.curvature_parser(__doc__)
    stage.arguments.add_files(parser, checkpoint="weights")
    parser.add_argument("--k", type=int, nargs="+", required=True, help="sequences before the one added")
    parser.add_argument("--steps", type=int, required=True, help="of published power iteration, a pair")
    parser.add_argument(
        "--sigmas", type=float, nargs="+", required=True, help="σ of the probes; the middle one is timed"
    )
    stage.arguments.add(parser, "dim", "samples", "tolerance", "repeats")
    stage.arguments.add_files(parser, out="CSV, a row a timed call", accuracy="CSV, a row a σ")
    stage.arguments.run(main, parser)
