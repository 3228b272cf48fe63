"""Train one transformer on a seeded choice of sequences; write checkpoint and loss curve.

With --snapshots the weights are also kept as they are after the first k sequences, one file for each k of
--snapshot-at (multiples of the batch).

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


def main(args):
    data, held_out = stage.problem.data(args)
    model = stage.problem.model(args, seed=args.seed)
    if len(args.snapshot_at) != len(args.snapshots):
        raise InputError("--snapshot-at and --snapshots differ in length; give one file for each k")
    meta = stage.arguments.meta(args, args.tokens)
    files = {k // args.training.batch: path for k, path in zip(args.snapshot_at, args.snapshots, strict=True)}

    def keep(step):
        if step in files:
            save_tensors(model.state_dict(), files[step], {**meta, "seed": args.seed, "step": step})

    samples = args.training.epochs * (len(data) // args.training.batch) * args.training.batch
    with stage.arguments.progress(samples * args.model.context, f"train seed {args.seed}", "tok") as bar:

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
            seed=args.seed,
            on_record=show,
            on_step=keep,
        )
    curve = pd.DataFrame(map(asdict, records))
    if args.variant is not None:
        curve.insert(0, "variant", args.variant)
    write_table(curve.assign(seed=args.seed), args.curve, meta)
    final = {
        "seed": args.seed,
        "step": records[-1].step,
        "train_loss": mean_loss(model, sequence_losses, data),
        "held_out_loss": records[-1].held_out_loss,
    }
    save_tensors(model.state_dict(), args.checkpoint, {**meta, **final})


if __name__ == "__main__":
    parser = stage.problem.parser(__doc__)
    stage.arguments.add(parser, "seed")
    stage.arguments.add_settings(parser, training=TrainingSettings)
    parser.add_argument("--variant", help="name of these settings, for the curve's column")
    stage.arguments.add_files(parser, checkpoint="safetensors to write", curve="CSV, a row a record")
    parser.add_argument("--snapshot-at", type=int, nargs="*", default=[], help="sequences seen, k")
    parser.add_argument("--snapshots", type=Path, nargs="*", default=[], help="weights then, safetensors")
    stage.arguments.run(main, parser)
