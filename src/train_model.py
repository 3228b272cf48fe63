"""Train a transformer from each of some seeds on a seeded choice of sequences; write weights and loss curves.

With one seed and --snapshots the weights are also kept as they are after the first k sequences, one file for
each k of --snapshot-at (multiples of the batch).

Example:
    python src/train_model.py --tokens corpus/tokens.safetensors --sequences 8192 --data-seed 0 \\
        --held-out-sequences 256 --seed 0 \\
        --model '{"vocab_size": 512, "context": 32, "depth": 2, "width": 32, "heads": 2, "kv_heads": 2}' \\
        --training '{"epochs": 1, "batch": 8, "learning_rate": 6e-3, "warmup": 50,
                     "weight_decay": 0.01, "record_every": 64}' \\
        --checkpoint model.safetensors --curve curve.csv
"""

from dataclasses import asdict
from pathlib import Path

import stage.arguments
import stage.problem

import pandas as pd

from valleyscope.artifacts import save_tensors, write_table
from valleyscope.errors import InputError
from valleyscope.models.model import sequence_losses
from valleyscope.models.training import TrainingSettings, mean_loss, train


def trained(args, seed, checkpoint, meta):
    """Train from one seed, save the result, return its curve."""
    data, held_out = stage.problem.data(args)
    model = stage.problem.model(args, seed=seed)
    files = {k // args.training.batch: path for k, path in zip(args.snapshot_at, args.snapshots, strict=True)}

    def keep(step):
        if step in files:
            save_tensors(model.state_dict(), files[step], {**meta, "seed": seed, "step": step})

    samples = args.training.epochs * (len(data) // args.training.batch) * args.training.batch
    with stage.arguments.progress(samples * args.model.context, f"train seed {seed}", "tok") as bar:

        def show(record):
            bar.set_postfix(
                loss=f"{record.train_loss:.3f}", held_out=f"{record.held_out_loss:.3f}", refresh=False
            )
            bar.update(record.samples * args.model.context - bar.n)

        records = train(
            model,
            sequence_losses,
            data,
            held_out,
            args.training,
            seed=seed,
            on_record=show,
            on_step=keep,
        )
    final = {
        "seed": seed,
        "step": records[-1].step,
        "train_loss": mean_loss(model, sequence_losses, data),
        "held_out_loss": records[-1].held_out_loss,
    }
    save_tensors(model.state_dict(), checkpoint, {**meta, **final})
    return pd.DataFrame(map(asdict, records)).assign(seed=seed)


def main(args):
    if len(args.snapshot_at) != len(args.snapshots):
        raise InputError("--snapshot-at and --snapshots differ in length; give one file for each k")
    if len(args.seed) != len(args.checkpoint):
        raise InputError("--seed and --checkpoint differ in length; give one file for each seed")
    if args.snapshots and len(args.seed) > 1:
        raise InputError("--snapshots are of one --seed")
    meta = stage.arguments.meta(args, args.tokens)
    each = zip(args.seed, args.checkpoint, strict=True)
    curve = pd.concat([trained(args, *one, meta) for one in each], ignore_index=True)
    if args.variant is not None:
        curve.insert(0, "variant", args.variant)
    write_table(curve, args.curve, meta)


if __name__ == "__main__":
    parser = stage.problem.parser(__doc__)
    stage.problem.add_compiled(parser)
    parser.add_argument(
        "--seed", type=int, nargs="+", required=True, help="of weights and of the data's order"
    )
    stage.arguments.add_settings(parser, training=TrainingSettings)
    parser.add_argument("--variant", help="name of these settings, for the curve's column")
    parser.add_argument(
        "--checkpoint", type=Path, nargs="+", required=True, help="safetensors to write, one a seed"
    )
    stage.arguments.add_files(parser, curve="CSV, a row a seed and record")
    parser.add_argument("--snapshot-at", type=int, nargs="*", default=[], help="sequences seen, k")
    parser.add_argument("--snapshots", type=Path, nargs="*", default=[], help="weights then, safetensors")
    stage.arguments.run(main, parser)
