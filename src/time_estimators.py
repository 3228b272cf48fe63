"""Time the stages of Δ₂^(D) on one model (Table 3), the published procedure beside them, and their accuracy.

At the smallest k everything is timed; at the others stage II alone, to show how it grows with k.

Example:
    python src/time_estimators.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 8192 --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors \\
        --k 8 1024 --dim 45 --steps 20 --sigmas 1e-3 1e-2 --samples 64 --tolerance 1e-3 --repeats 5 \\
        --threads 2 --out timing.csv --accuracy accuracy.csv
"""

from pathlib import Path
from statistics import median

import pandas as pd
import torch

import stage.arguments
import stage.problem
from valleyscope.artifacts import write_table
from valleyscope.criteria import standard_normals
from valleyscope.eigen import converged_eigenpairs
from valleyscope.engine.timing import seconds
from valleyscope.estimate import Estimate
from valleyscope.hessian import HessianOperator
from valleyscope.landscape import published
from valleyscope.landscape.increments import direct_increments, increment_model
from valleyscope.models.model import sequence_losses


class Problem:
    """The calls that are timed at one k."""

    def __init__(self, args, model, data, k, tolerance):
        self.args, self.model, self.data, self.k, self.tolerance = args, model, data, k, tolerance
        self.operator, self.eigen = self.subspace()
        self.quadratic = self.coefficients()
        self.normals = standard_normals(args.samples, args.dim, args.data_seed)

    def gradient(self):
        sequence_losses(self.model, self.data[: self.k]).mean().backward()
        self.model.zero_grad()

    def subspace(self):
        operator = HessianOperator(
            self.model, sequence_losses, self.data[: self.k], memory_budget=self.args.memory_budget
        )
        return operator, converged_eigenpairs(
            operator, self.args.dim, tol=self.tolerance, seed=self.args.data_seed
        )

    def coefficients(self):
        sample = HessianOperator(self.model, sequence_losses, self.data[self.k : self.k + 1], keep_graph=True)
        return increment_model(self.operator, self.eigen, sample)

    def direct(self, sigma):
        U = self.eigen.vectors.double()
        displacements = torch.as_tensor(sigma * self.normals).to(U) @ U.T
        nexts = self.data[self.k : self.k + 1]
        return direct_increments(self.model, sequence_losses, self.data[: self.k], nexts, displacements)[:, 0]

    def unbatched(self, vectors, sigma):
        z = sigma * self.normals
        return published.unbatched_increments(self.model, sequence_losses, self.data, self.k, vectors, z)

    def setup_calls(self):
        return [
            ("corrected", "gradient", "", self.gradient, 0),
            ("corrected", "II coefficients", "", self.coefficients, self.args.dim),
        ]

    def subspace_call(self):
        return ("corrected", "I subspace", "", self.subspace, self.eigen.matvecs)

    def evaluation_calls(self, sigma):
        args, quadratic = self.args, self.quadratic
        evaluation = ("corrected", "III evaluation")
        return [
            (*evaluation, "direct", lambda: self.direct(sigma), 0),
            (*evaluation, "direct_unbatched", lambda: self.unbatched(self.eigen.vectors, sigma), 0),
            (*evaluation, "quadratic", lambda: quadratic.monte_carlo(sigma, args.samples, args.data_seed), 0),
            (*evaluation, "gaussian_moment", lambda: quadratic.gaussian_moment(sigma), 0),
        ]

    def published_calls(self, sigma):
        args, problem = self.args, (self.model, sequence_losses)
        few = published.evenly_spaced(self.data[: self.k])
        counted = published.MicrobatchedHessian(*problem, few)
        vectors = published.deflated_power_iteration(counted, args.dim, args.steps, args.data_seed)[1]

        def subspace():
            operator = published.MicrobatchedHessian(*problem, few)
            return published.deflated_power_iteration(operator, args.dim, args.steps, args.data_seed)

        def coefficients():
            return published.coefficients(*problem, self.data, self.k, vectors)

        quadratic = coefficients()
        evaluation = ("published", "III evaluation")
        return [
            ("published", "I subspace", "", subspace, counted.matvecs),
            ("published", "II coefficients", "", coefficients, 2 * args.dim),
            (*evaluation, "direct_unbatched", lambda: self.unbatched(vectors, sigma), 0),
            (*evaluation, "quadratic", lambda: quadratic.monte_carlo(sigma, args.samples, args.data_seed), 0),
            (*evaluation, "gaussian_moment", lambda: quadratic.gaussian_moment(sigma), 0),
        ]

    def accuracy(self, sigma):
        """Errors of each estimator at this σ: results/README.md, accuracy.csv."""
        true, modelled = self.direct(sigma), self.quadratic.at(sigma * self.normals)
        direct, quadratic = Estimate.of(true**2), Estimate.of(modelled**2)
        difference = Estimate.of(true**2 - modelled**2)
        row = {"k": self.k, "dim": self.args.dim, "sigma": sigma, "samples": self.args.samples}
        row |= {"gaussian_moment": self.quadratic.gaussian_moment(sigma), "value": self.quadratic.value**2}
        row |= {"direct": direct.mean, "direct_se": direct.standard_error}
        row |= {"quadratic_se": quadratic.standard_error}
        return row | {"difference": difference.mean, "difference_se": difference.standard_error}


def main(args):
    data, _ = stage.problem.data(args)
    model = stage.problem.model(args, args.checkpoint)
    sigma = sorted(args.sigmas)[len(args.sigmas) // 2]
    calls = []
    for k in sorted(args.k):
        smallest = k == min(args.k)
        # How well the eigenvectors are converged does not change what stage II costs.
        problem = Problem(args, model, data, k, args.tolerance if smallest else 0.1)
        chosen = problem.setup_calls()
        if smallest:
            chosen += [problem.subspace_call(), *problem.evaluation_calls(sigma)]
            chosen += problem.published_calls(sigma)
            accuracy = pd.DataFrame([problem.accuracy(s) for s in args.sigmas])
        calls += [(k, *call) for call in chosen]
    rows = []
    with stage.arguments.progress(len(calls), "time stages", "call") as bar:
        for k, procedure, phase, estimator, call, products in calls:
            times = seconds(call, args.repeats, args.device)
            rows += [(procedure, k, args.dim, phase, estimator, i, t, products) for i, t in enumerate(times)]
            bar.update()
    names = ["procedure", "k", "dim", "stage", "estimator", "repeat", "seconds", "products"]
    table = pd.DataFrame(rows, columns=names)
    unit = {k: median(t["seconds"]) for k, t in table[table["stage"] == "gradient"].groupby("k")}
    table["gradients"] = table["seconds"] / table["k"].map(unit)
    meta = stage.arguments.meta(args, args.tokens, args.checkpoint)
    write_table(table, args.out, meta)
    write_table(accuracy, args.accuracy, meta)


if __name__ == "__main__":
    parser = stage.problem.curvature_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="weights")
    parser.add_argument("--k", type=int, nargs="+", required=True, help="sequences before the one added")
    parser.add_argument("--dim", type=int, required=True, help="D")
    parser.add_argument("--steps", type=int, required=True, help="of published power iteration, a pair")
    parser.add_argument(
        "--sigmas", type=float, nargs="+", required=True, help="probe widths; the middle one is timed"
    )
    parser.add_argument("--samples", type=int, required=True, help="Monte Carlo draws")
    parser.add_argument("--tolerance", type=float, required=True, help="residual over λ₁")
    parser.add_argument("--repeats", type=int, required=True, help="timed calls of each stage")
    parser.add_argument("--out", type=Path, required=True, help="CSV, a row a timed call")
    parser.add_argument("--accuracy", type=Path, required=True, help="CSV, a row a σ")
    stage.arguments.run(main, parser)
