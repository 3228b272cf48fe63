"""Train pairs of minima of one architecture, join them, and measure loss and curvature on each path.

Example:
    python src/connect_architecture.py --name mlp --kind mlp --settings '{"width": 64, "depth": 2}' \\
        --tokens corpus/tokens.safetensors --context 32 --samples 256 --held-out 256 \\
        --pairs 0-1 2-3 --data-seed 0 \\
        --training '{"epochs": 60, "batch": 32, "learning_rate": 5e-3, "warmup": 20, "weight_decay": 1.0,
                     "record_every": 64}' \\
        --descent '{"momentum": 0.9, "weight_decay": 1e-3, "steps": [300], "batches": [16],
                    "learning_rates": [0.05]}' \\
        --neb '{"pivots": 3, "spring": 0.03, "insert_above": 1.1, "most_pivots": 19, "refine": 4}' \\
        --positions 9 --dense 81 --probes 8 --tolerance 1e-2 --losses losses.csv --curvature curvature.csv
"""

from functools import partial

import stage.architecture
import stage.arguments
from stage.pieces import Pieces, write_joined

import pandas as pd

from valleyscope.connectivity.finders import Descent, NebSettings
from valleyscope.engine.weights import flat_weights
from valleyscope.models.architectures import KINDS
from valleyscope.models.training import train
from valleyscope.tracing import trace_path


def main(args):
    data = stage.architecture.data(args, args.data_seed)
    meta = stage.arguments.meta(args, args.tokens)
    pieces = Pieces.of(args.losses, meta)
    found = [
        pieces.tables(f"{first}-{second}", partial(of_pair, args, (first, second), *data))
        for first, second in args.pairs
    ]
    for name in ("losses", "curvature"):
        write_joined([tables[name] for tables in found], getattr(args, name), meta)
    pieces.remove()


def of_pair(args, seeds: tuple[int, int], data, held_out) -> dict[str, pd.DataFrame]:
    """The tables of the path between the minima of two seeds, named."""
    loss_fn = KINDS[args.kind].loss_fn
    name = "-".join(map(str, seeds))
    ends = []
    for seed in seeds:
        model = stage.architecture.model(args, seed)
        train(model, loss_fn, data, held_out, args.training, seed=seed)
        ends.append(flat_weights(model))
    with stage.arguments.progress(2 * sum(args.descent.steps), f"path {args.name} {name}", "step") as bar:
        result = trace_path(
            model,
            *ends,
            loss_fn,
            data,
            held_out=held_out,
            descent=args.descent,
            neb=args.neb,
            positions=args.positions,
            dense=args.dense,
            probes=args.probes,
            drift_positions=0,
            seed=seeds[0],
            tol=args.tolerance,
            memory_budget=args.memory_budget,
            on_step=lambda steps, loss: bar.update(steps),
        )
    tables = {"losses": result.losses, "curvature": result.curvature}
    for table in tables.values():
        table.insert(0, "architecture", args.name)
        table.insert(1, "pair", name)
    return tables


def pair(text: str) -> tuple[int, int]:
    """Two seeds of "a-b"."""
    first, second = text.split("-")
    return int(first), int(second)


if __name__ == "__main__":
    parser = stage.architecture.parser(__doc__)
    parser.add_argument("--pairs", type=pair, nargs="+", required=True, help="seeds a-b")
    parser.add_argument("--data-seed", type=int, required=True, help="of the training samples")
    stage.arguments.add_settings(parser, descent=Descent, neb=NebSettings)
    parser.add_argument("--positions", type=int, required=True, help="with curvature")
    parser.add_argument("--dense", type=int, required=True, help="positions with losses")
    stage.arguments.add(parser, "probes", "tolerance")
    stage.arguments.add_files(
        parser, losses="CSV, a row a pair and position", curvature="CSV, a row a pair and position"
    )
    stage.arguments.run(main, parser)
