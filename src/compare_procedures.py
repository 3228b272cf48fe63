"""The published procedure beside the corrected one at each point: eigenpairs, B, closed form, Monte Carlo.

Example:
    python src/compare_procedures.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --at '[{"regime": "trained", "k": 8}]' \\
        --checkpoint model.safetensors --dim 45 --steps 20 --sigma 1e-3 --samples 32 --tolerance 1e-3 \\
        --quantities published.csv --eigenvalues published_eigenvalues.csv
"""

import stage.arguments
import stage.point

from valleyscope.landscape.procedures import ProcedureSettings, compare_procedures
from valleyscope.models.model import sequence_losses


def main(args):
    stage.point.measure(args, ["quantities", "eigenvalues"], at_point)


def at_point(args, point):
    settings = ProcedureSettings(
        args.dim, args.steps, args.sigma, args.samples, args.tolerance, args.data_seed
    )
    quantities, eigenvalues = compare_procedures(
        point.model, sequence_losses, point.data, args.k, settings, args.memory_budget
    )
    return {"quantities": quantities, "eigenvalues": eigenvalues}


if __name__ == "__main__":
    parser = stage.point.parser(__doc__)
    stage.arguments.add(parser, "dim", "sigma", "samples", "tolerance")
    parser.add_argument("--steps", type=int, required=True, help="of power iteration, a pair")
    stage.point.add_tables(parser, quantities="a row a quantity", eigenvalues="a row an eigenvalue")
    stage.arguments.run(main, parser)
