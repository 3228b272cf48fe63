"""δ_k and its quadratic model on the plane of the two leading eigenvectors of H^(k).

Example:
    python src/map_geometry.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors --regime trained \\
        --eigen eigen.safetensors --k 64 --sigma 1e-2 --reach 3 --points 25 --out geometry.csv
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

import stage.arguments
import stage.point
import stage.problem
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.increments import direct_increments, increment_model
from valleyscope.models.model import sequence_losses


def main(args):
    data, _ = stage.problem.data(args)
    model = stage.problem.model(args, args.checkpoint)
    eigen = stage.point.eigenpairs(args)
    operator = HessianOperator(model, sequence_losses, data[: args.k], memory_budget=args.memory_budget)
    sample = HessianOperator(model, sequence_losses, data[args.k : args.k + 1])
    quadratic = increment_model(operator, eigen, sample).leading(2)
    axis = np.linspace(-args.reach, args.reach, args.points) * args.sigma
    plane = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    U = eigen.vectors[:, :2].double()
    displacements = torch.as_tensor(plane).to(U) @ U.T
    true = direct_increments(model, sequence_losses, data[: args.k], data[args.k : args.k + 1], displacements)
    table = {"x": plane[:, 0], "y": plane[:, 1], "true": true[:, 0], "quadratic": quadratic.at(plane)}
    stage.point.write(args, (pd.DataFrame(table), args.out))


if __name__ == "__main__":
    parser = stage.point.eigen_parser(__doc__)
    parser.add_argument("--sigma", type=float, required=True, help="probe width")
    parser.add_argument("--reach", type=float, required=True, help="edge of the plane, in σ")
    parser.add_argument("--points", type=int, required=True, help="along each axis")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
