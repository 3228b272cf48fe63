"""The decay's control: Δ₁ and Δ₂ for every k at weights that do not depend on k.

Example:
    python src/estimate_fixed_weights.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 8192 --data-seed 0 --held-out-sequences 256 --regime random --k 8 16 32 \\
        --candidates 32 --sigmas 1e-3 1e-2 --samples 32 --out fixed.csv
"""

from pathlib import Path

import stage.arguments
import stage.problem

from valleyscope.artifacts import write_table
from valleyscope.landscape.estimators import Grid, fixed_weights_criteria
from valleyscope.models.model import sequence_losses


def main(args):
    data, held_out = stage.problem.data(args)
    model = stage.problem.model(args, args.checkpoint, seed=args.data_seed)
    grid = Grid([], args.sigmas, args.samples, args.data_seed)
    table = fixed_weights_criteria(model, sequence_losses, data, held_out[: args.candidates], args.k, grid)
    table.insert(0, "regime", args.regime)
    table.insert(1, "seed", args.data_seed)
    inputs = [args.tokens] + ([args.checkpoint] if args.checkpoint else [])
    write_table(table, args.out, stage.arguments.meta(args, *inputs), may_be_empty=["standard_error"])


if __name__ == "__main__":
    parser = stage.problem.parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, help="weights; without it those drawn from the data seed")
    parser.add_argument("--regime", required=True, help="what the table calls them")
    parser.add_argument("--k", type=int, nargs="+", required=True, help="sequences in the mean losses")
    stage.arguments.add(parser, "candidates", "sigmas", "samples")
    stage.arguments.add_files(parser, out="CSV, a row a k, σ and criterion")
    stage.arguments.run(main, parser)
