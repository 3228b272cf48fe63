"""Spectral density of H^(k), and how its top eigenspace turns when data is added.

Example:
    python src/measure_spectrum.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --checkpoint w_64.safetensors --regime trajectory \\
        --eigen eigen_64.safetensors --k 64 \\
        --moved-eigen eigen_128.safetensors --dims 1 4 16 --steps 40 --probes 4 --width 0.01 \\
        --points 241 --tolerance 1e-3 --density spectrum.csv --drift drift.csv
"""

from pathlib import Path

import numpy as np
import pandas as pd

import stage.arguments
import stage.point
import stage.problem
from valleyscope.artifacts import load_tensors
from valleyscope.eigen import EigenResult, converged_eigenpairs
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.subspaces import eigenspace_drift
from valleyscope.models.model import sequence_losses
from valleyscope.traces import spectrum

LOWEST, HIGHEST = -0.6, 1.1  # λ/λ_max on the grid


def density(args, operator, largest):
    """A table of the blurred density of λ/λ_max, and the share of negative eigenvalues."""
    found = spectrum(operator, args.steps, args.probes, args.data_seed)
    grid = np.linspace(LOWEST, HIGHEST, args.points)
    each = found.density(grid * largest, args.width * largest) * largest
    table = pd.DataFrame({"relative": grid, "density": each.mean(0)})
    table["density_se"] = each.std(0, ddof=1) / np.sqrt(len(each))
    return table.assign(negative=found.mean(lambda values: values < 0).mean)


def drift(args, model, data, before):
    """Against H^(k+1) and H^(2k) at the same weights, and against H^(2k) at the weights w_2k."""
    tables = []
    for other in (args.k + 1, 2 * args.k):
        operator = HessianOperator(model, sequence_losses, data[:other], memory_budget=args.memory_budget)
        after = converged_eigenpairs(
            operator, max(args.dims), tol=args.tolerance, seed=args.data_seed, initial=before.vectors
        )
        tables.append(eigenspace_drift(before, after, args.dims).assign(k_other=other, weights_other="same"))
    saved = load_tensors(args.moved_eigen, ["values", "vectors", "residuals"])
    moved = EigenResult(saved["values"], saved["vectors"], saved["residuals"], 0, True)
    tables.append(
        eigenspace_drift(before, moved, args.dims).assign(k_other=2 * args.k, weights_other="moved")
    )
    return pd.concat(tables, ignore_index=True)


def main(args):
    data, _ = stage.problem.data(args)
    model = stage.problem.model(args, args.checkpoint)
    before = stage.point.eigenpairs(args)
    operator = HessianOperator(model, sequence_losses, data[: args.k], memory_budget=args.memory_budget)
    spectral = density(args, operator, before.values[0].item())
    stage.point.write(args, (spectral, args.density), (drift(args, model, data, before), args.drift))


if __name__ == "__main__":
    parser = stage.point.eigen_parser(__doc__)
    parser.add_argument("--moved-eigen", type=Path, required=True, help="eigenpairs of H^(2k) at w_2k")
    parser.add_argument("--dims", type=int, nargs="+", required=True, help="D of the eigenspaces")
    parser.add_argument("--steps", type=int, required=True, help="Lanczos steps a random vector")
    parser.add_argument("--probes", type=int, required=True, help="random vectors")
    parser.add_argument("--width", type=float, required=True, help="of the blur, over λ_max")
    parser.add_argument("--points", type=int, required=True, help="of the grid of eigenvalues")
    parser.add_argument("--tolerance", type=float, required=True, help="residual over λ₁")
    parser.add_argument("--density", type=Path, required=True, help="CSV to write")
    parser.add_argument("--drift", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
