"""δ_k and its quadratic model on the plane of the two leading eigenvectors of H^(k).

Example:
    python src/map_geometry.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --at '[{"regime": "trained", "k": 64}]' \\
        --checkpoint model.safetensors --eigen eigen.safetensors --sigma 1e-2 --reach 3 \\
        --points 25 --out geometry.csv
"""

import stage.arguments
import stage.point

import numpy as np
import pandas as pd
import torch

from valleyscope.landscape.increments import direct_increments, increment_model
from valleyscope.models.model import sequence_losses


def main(args):
    stage.point.measure(args, ["out"], at_point)


def at_point(args, point):
    eigen = stage.point.eigenpairs(args.eigen, args.device)
    quadratic = increment_model(point.operator, eigen, point.sample).leading(2)
    axis = np.linspace(-args.reach, args.reach, args.points) * args.sigma
    plane = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    U = eigen.vectors[:, :2].double()
    displacements = torch.as_tensor(plane).to(U) @ U.T
    true = direct_increments(point.model, sequence_losses, point.known, point.following, displacements)
    table = {"x": plane[:, 0], "y": plane[:, 1], "true": true[:, 0], "quadratic": quadratic.at(plane)}
    return {"out": pd.DataFrame(table)}


if __name__ == "__main__":
    parser = stage.point.eigen_parser(__doc__)
    stage.arguments.add(parser, "sigma")
    parser.add_argument("--reach", type=float, required=True, help="edge of the plane, in σ")
    parser.add_argument("--points", type=int, required=True, help="along each axis")
    stage.point.add_tables(parser, out="a row a point of the plane")
    stage.arguments.run(main, parser)
