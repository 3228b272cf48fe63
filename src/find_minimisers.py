"""Minimise L_k plus a fixed ridge for each k in turn, each search starting from the one before.

The ridge is centred at weights trained on other sequences of the stream (from --centre-from on), with the
rows of the embedding scaled to unit root mean square. The model normalises them at once, so that changes no
loss; but small rows would make the ridge's neighbourhood needlessly stiff.

Example:
    python src/find_minimisers.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 8192 --data-seed 0 --held-out-sequences 256 --centre-from 4096 --training '{…}' \\
        --solver '{"ridge": 0.1, "steps": 250, "learning_rate": 5e-3, "newton_steps": 4, "products": 60,
                   "stationarity": 1e-4}' --k 16 32 --checkpoints w_16.safetensors w_32.safetensors \\
        --table minimisers.csv
"""

from dataclasses import asdict
from pathlib import Path

import stage.arguments
import stage.problem

import pandas as pd
import torch

from valleyscope.artifacts import save_tensors, write_table
from valleyscope.engine.weights import flat_weights
from valleyscope.errors import InputError
from valleyscope.landscape.minimisers import MinimiserSettings, minimise
from valleyscope.models.model import sequence_losses
from valleyscope.models.training import TrainingSettings, train


def centre_of_ridge(args, data, held_out):
    """A model trained on the sequences from --centre-from on, its embedding scaled."""
    model = stage.problem.model(args, seed=args.data_seed)
    train(model, sequence_losses, data[args.centre_from :], held_out, args.training, seed=args.data_seed)
    with torch.no_grad():
        rows = model.embedding.weight
        rows.div_(rows.square().mean(1, keepdim=True).sqrt())
    return model


def main(args):
    if len(args.k) != len(args.checkpoints):
        raise InputError("--k and --checkpoints differ in length; give one file for each k")
    if max(args.k) >= args.centre_from:
        raise InputError(f"--centre-from {args.centre_from} must lie beyond k + 1 = {max(args.k) + 1}")
    data, held_out = stage.problem.data(args)
    model = centre_of_ridge(args, data, held_out)
    centre = flat_weights(model)
    meta = stage.arguments.meta(args, args.tokens)
    rows = []
    with stage.arguments.progress(
        len(args.k) * args.solver.steps, f"minimise seed {args.data_seed}", "step"
    ) as bar:

        def show(objective):
            bar.set_postfix(objective=f"{objective:.4f}", refresh=False)
            bar.update()

        for k, path in sorted(zip(args.k, args.checkpoints, strict=True)):
            reached = minimise(
                model,
                sequence_losses,
                data[:k],
                centre,
                args.solver,
                memory_budget=args.memory_budget,
                on_step=show,
            )
            moved = (flat_weights(model) - centre).double().norm().item()
            keys = {"seed": args.data_seed, "k": k, "ridge": args.solver.ridge}
            rows.append({**keys, **asdict(reached), "moved": moved})
            save_tensors(model.state_dict(), path, {**meta, **rows[-1]})
    write_table(pd.DataFrame(rows), args.table, meta)


if __name__ == "__main__":
    parser = stage.problem.curvature_parser(__doc__)
    stage.problem.add_compiled(parser)
    parser.add_argument(
        "--centre-from", type=int, required=True, help="first sequence of the centre's training"
    )
    stage.arguments.add_settings(parser, training=TrainingSettings, solver=MinimiserSettings)
    parser.add_argument("--k", type=int, nargs="+", required=True, help="sequences in the mean loss")
    parser.add_argument("--checkpoints", type=Path, nargs="+", required=True, help="weights, one file a k")
    stage.arguments.add_files(parser, table="CSV, a row a k")
    stage.arguments.run(main, parser)
