"""Train a parent and the children that branch from it, all in one batch of replicas.

Example:
    python src/train_families.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --seed 0 \\
        --branching '{"steps": 600, "batch": 32, "learning_rate": 1e-2, "warmup": 50, "weight_decay": 0.1,
                      "branches": [0, 50, 100, 200, 400]}' --out family.safetensors
"""

import stage.arguments
import stage.problem

from valleyscope.artifacts import save_tensors
from valleyscope.connectivity.branching import COPIES, BranchSettings, train_family
from valleyscope.engine.weights import flat_weights
from valleyscope.models.model import sequence_losses


def main(args):
    data, _ = stage.problem.data(args)
    model = stage.problem.model(args, seed=args.seed)
    s = args.branching
    total = s.steps + COPIES * sum(s.steps - branch for branch in s.branches)
    with stage.arguments.progress(total, f"family {args.seed}", "step") as bar:
        shown = stage.arguments.shown(bar)
        family = train_family(
            model, sequence_losses, data, flat_weights(model), s, seed=args.seed, on_step=shown
        )
    tensors = {"children": family.children, "checkpoints": family.checkpoints}
    save_tensors(tensors, args.out, stage.arguments.meta(args, args.tokens))


if __name__ == "__main__":
    parser = stage.problem.parser(__doc__)
    stage.problem.add_compiled(parser)
    stage.arguments.add(parser, "seed")
    stage.arguments.add_settings(parser, branching=BranchSettings)
    stage.arguments.add_files(parser, out="safetensors: children, checkpoints")
    stage.arguments.run(main, parser)
