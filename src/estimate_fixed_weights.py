"""The decay's control: Δ₁ and Δ₂ for every k at weights that do not depend on k, drawn and trained.

Example:
    python src/estimate_fixed_weights.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 8192 --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors \\
        --k 8 16 32 --candidates 32 --sigmas 1e-3 1e-2 --samples 32 --random random.csv --trained trained.csv
"""

import stage.arguments
import stage.problem

from valleyscope.artifacts import write_table
from valleyscope.landscape.estimators import Grid, fixed_weights_criteria
from valleyscope.models.model import sequence_losses


def main(args):
    data, held_out = stage.problem.data(args)
    candidates = held_out[: args.candidates]
    grid = Grid([], args.sigmas, args.samples, args.data_seed)
    models = {
        "random": stage.problem.model(args, seed=args.data_seed),
        "trained": stage.problem.model(args, args.checkpoint),
    }
    meta = stage.arguments.meta(args, args.tokens, args.checkpoint)
    for regime, model in models.items():
        table = fixed_weights_criteria(model, sequence_losses, data, candidates, args.k, grid)
        table.insert(0, "regime", regime)
        table.insert(1, "seed", args.data_seed)
        write_table(table, getattr(args, regime), meta, may_be_empty=["standard_error"])


if __name__ == "__main__":
    parser = stage.problem.parser(__doc__)
    stage.arguments.add_files(parser, checkpoint="weights at the end of training")
    parser.add_argument("--k", type=int, nargs="+", required=True, help="sequences in the mean losses")
    stage.arguments.add(parser, "candidates", "sigmas", "samples")
    stage.arguments.add_files(
        parser,
        random="CSV, a row a k, σ and criterion, at weights drawn from the data seed",
        trained="CSV, the same at --checkpoint",
    )
    stage.arguments.run(main, parser)
