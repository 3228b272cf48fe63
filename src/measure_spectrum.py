"""Spectral density of H^(k), and how its top eigenspace turns when data is added.

Example:
    python src/measure_spectrum.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --at '[{"regime": "trajectory", "k": 64}]' \\
        --checkpoint w_64.safetensors --eigen eigen_64.safetensors --moved-eigen eigen_128.safetensors \\
        --dims 1 4 16 --steps 40 --probes 4 --width 0.01 --points 241 --tolerance 1e-3 \\
        --density spectrum.csv --drift drift.csv
"""

import stage.arguments
import stage.point

import numpy as np
import pandas as pd

from valleyscope.eigen import converged_eigenpairs
from valleyscope.landscape.subspaces import eigenspace_drift
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


def drift(args, point, before):
    """Against H^(k+1) and H^(2k) at the same weights, and against H^(2k) at the weights w_2k."""
    options = {"tol": args.tolerance, "seed": args.data_seed, "initial": before.vectors}
    others = []
    for k in (args.k + 1, 2 * args.k):
        after = converged_eigenpairs(point.hessian(point.data[:k]), max(args.dims), **options)
        others.append((after, k, "same"))
    others.append((stage.point.eigenpairs(args.moved_eigen, args.device), 2 * args.k, "moved"))
    tables = [
        eigenspace_drift(before, after, args.dims).assign(k_other=k, weights_other=weights)
        for after, k, weights in others
    ]
    return pd.concat(tables, ignore_index=True)


def main(args):
    stage.point.measure(args, ["density", "drift"], at_point)


def at_point(args, point):
    before = stage.point.eigenpairs(args.eigen, args.device)
    spectral = density(args, point.operator, before.values[0].item())
    return {"density": spectral, "drift": drift(args, point, before)}


if __name__ == "__main__":
    parser = stage.point.eigen_parser(__doc__)
    stage.arguments.add(parser, "dims", "probes", "tolerance")
    parser.add_argument("--steps", type=int, required=True, help="Lanczos steps a random vector")
    parser.add_argument("--width", type=float, required=True, help="of the blur, over λ_max")
    parser.add_argument("--points", type=int, required=True, help="of the grid of eigenvalues")
    stage.point.add_files(parser, moved_eigen="eigenpairs of H^(2k) at w_2k, one file for each point")
    stage.point.add_tables(parser, density="a row a point of the grid", drift="a row a D and eigenspace")
    stage.arguments.run(main, parser)
