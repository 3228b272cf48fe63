"""The published procedure beside the corrected one at one point: eigenpairs, B, closed form, Monte Carlo.

Example:
    python src/compare_procedures.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors --regime trained --k 8 \\
        --dim 45 --steps 20 --sigma 1e-3 --samples 32 --tolerance 1e-3 --out published.csv \\
        --eigenvalues published_eigenvalues.csv
"""

import stage.arguments
import stage.point

from valleyscope.landscape.procedures import ProcedureSettings, compare_procedures
from valleyscope.models.model import sequence_losses


def main(args):
    point = stage.point.load(args)
    settings = ProcedureSettings(
        args.dim, args.steps, args.sigma, args.samples, args.tolerance, args.data_seed
    )
    quantities, eigenvalues = compare_procedures(
        point.model, sequence_losses, point.data, args.k, settings, args.memory_budget
    )
    stage.point.write(args, (quantities, args.out), (eigenvalues, args.eigenvalues))


if __name__ == "__main__":
    parser = stage.point.parser(__doc__)
    stage.arguments.add(parser, "dim", "sigma", "samples", "tolerance")
    parser.add_argument("--steps", type=int, required=True, help="of power iteration, a pair")
    stage.arguments.add_files(parser, out="CSV, a row a quantity", eigenvalues="CSV, a row an eigenvalue")
    stage.arguments.run(main, parser)
