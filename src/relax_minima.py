"""Relax two minima as the points of a path between them will be; measure both before and after.

Example:
    python src/relax_minima.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --ends a.safetensors b.safetensors --variant adamw \\
        --pair 0-1 --seed 0 --probes 16 --tolerance 1e-3 \\
        --descent '{"momentum": 0.9, "weight_decay": 1e-5, "steps": [300], "batches": [16],
                    "learning_rates": [0.1]}' \\
        --out ends.safetensors --table minima.csv
"""

from pathlib import Path

import stage.arguments
import stage.problem

import pandas as pd
import torch

from valleyscope.artifacts import save_tensors, write_table
from valleyscope.connectivity.finders import Descent, relax
from valleyscope.connectivity.profile import describe_minimum
from valleyscope.engine.weights import flat_weights
from valleyscope.models.model import sequence_losses


def main(args):
    data, held_out = stage.problem.data(args)
    model = stage.problem.model(args)
    trained = torch.stack([flat_weights(stage.problem.model(args, end)) for end in args.ends])
    name = f"relax {args.variant} {args.pair}"
    with stage.arguments.progress(sum(args.descent.steps), name, "step") as bar:
        shown = stage.arguments.shown(bar)
        relaxed = relax(model, sequence_losses, data, trained, args.descent, seed=args.seed, on_step=shown)
    rows = []
    for phase, ends in (("trained", trained), ("relaxed", relaxed)):
        for seed, weights in zip(args.pair.split("-"), ends, strict=True):
            named = {"variant": args.variant, "pair": args.pair, "seed": seed, "stage": phase}
            measured = describe_minimum(
                model,
                sequence_losses,
                data,
                held_out,
                weights,
                probes=args.probes,
                tol=args.tolerance,
                seed=args.seed,
                memory_budget=args.memory_budget,
            )
            rows.append(named | measured)
    meta = stage.arguments.meta(args, args.tokens, *args.ends)
    write_table(pd.DataFrame(rows), args.table, meta)
    save_tensors({"pivots": relaxed}, args.out, meta)


if __name__ == "__main__":
    parser = stage.problem.curvature_parser(__doc__)
    stage.problem.add_compiled(parser)
    parser.add_argument("--ends", type=Path, nargs=2, required=True, help="two checkpoints")
    stage.arguments.add(parser, "variant", "pair", "probes", "tolerance", "seed")
    stage.arguments.add_settings(parser, descent=Descent)
    stage.arguments.add_files(parser, out="safetensors: pivots (2, N)", table="CSV, a row an end and stage")
    stage.arguments.run(main, parser)
