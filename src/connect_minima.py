"""Join two relaxed minima by a path: straight, a trained curve (Bézier or polygon), or AutoNEB.

A search keeps its state beside the output after every cycle; started again, it goes on from there.

Example:
    python src/connect_minima.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --ends ends.safetensors --variant adamw --pair 0-1 \\
        --kind autoneb \\
        --finder '{"pivots": 3, "spring": 0.1, "insert_above": 1.1, "most_pivots": 24, "refine": 4}' \\
        --descent '{"momentum": 0.9, "weight_decay": 1e-5, "steps": [300], "batches": [16],
                    "learning_rates": [0.1]}' \\
        --seed 0 --out path.safetensors --table path.csv
"""

import json

import stage.arguments
import stage.problem

import pandas as pd

from valleyscope.artifacts import load_tensors, save_tensors, write_table
from valleyscope.connectivity.finders import FINDERS, Descent
from valleyscope.connectivity.resume import SearchFile
from valleyscope.errors import InputError
from valleyscope.models.model import sequence_losses
from valleyscope.paths import straight_line


def settings_of(args):
    """The settings of the chosen finder."""
    try:
        return FINDERS[args.kind].settings(**args.finder)
    except TypeError as error:
        raise InputError(f"--finder does not fit --kind {args.kind}: {error}") from None


def found(args, ends, state):
    """The path between the ends (2, N), searched on from where `state` was left."""
    data, _ = stage.problem.data(args)
    problem = (stage.problem.model(args), sequence_losses, data, ends, args.descent, settings_of(args))
    name = f"{args.kind} {args.variant} {args.pair}"
    with stage.arguments.progress(sum(args.descent.steps), name, "step") as bar:
        before = state.read()
        bar.update(sum(args.descent.steps[: before.cycle]) if before else 0)
        return FINDERS[args.kind].find(
            *problem,
            seed=args.seed,
            resume=before,
            on_cycle=state.write,
            on_step=stage.arguments.shown(bar),
        )


def main(args):
    ends = load_tensors(args.ends, ["pivots"])["pivots"].to(args.device)
    meta = stage.arguments.meta(args, args.tokens, args.ends)
    state = SearchFile(
        args.out.with_name(f"search_{args.out.name}"), meta["sha256_of_settings_and_inputs"], args.device
    )
    path = found(args, ends, state)
    searched = state.read()
    row = {
        "variant": args.variant,
        "kind": args.kind,
        "pair": args.pair,
        "pivots": len(path.pivots),
        "length": path.length,
        "straight": straight_line(*ends).length,
        "evenness": path.evenness,
        "loss": searched.history[-1] if searched else float("nan"),
    }
    write_table(pd.DataFrame([row]), args.table, meta, may_be_empty=["loss"])  # of a straight line
    save_tensors({"pivots": path.pivots}, args.out, meta)
    state.remove()


if __name__ == "__main__":
    parser = stage.problem.parser(__doc__)
    stage.problem.add_compiled(parser)
    stage.arguments.add_files(parser, ends="safetensors: pivots (2, N)")
    stage.arguments.add(parser, "variant", "pair", "seed")
    parser.add_argument("--kind", choices=FINDERS, required=True, help="path finder")
    parser.add_argument("--finder", type=json.loads, default={}, help="its settings, JSON")
    stage.arguments.add_settings(parser, descent=Descent)
    stage.arguments.add_files(parser, out="safetensors to write: pivots", table="CSV with one row")
    stage.arguments.run(main, parser)
