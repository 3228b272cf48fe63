"""Relax two minima as the path will be, then join them: the straight line and a low-loss polygon.

Example:
    python src/connect_minima.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --ends a.safetensors b.safetensors --seed 0 \\
        --polygon '{"pivots": 9, "steps": 1600, "batch": 16, "learning_rate": 1e-2, "record_every": 100}' \\
        --straight straight.safetensors --trained trained.safetensors
"""

from pathlib import Path

import torch

import _problem
import _stage
from valleyscope.artifacts import save_tensors
from valleyscope.model import sequence_losses
from valleyscope.paths import PolygonSettings, relax_ends, straight_line, train_polygon
from valleyscope.weights import flat_weights


def main(args):
    data, _ = _problem.data(args)
    model = _problem.model(args)
    ends = torch.stack([flat_weights(_problem.model(args, end)) for end in args.ends])
    with _stage.progress(2 * args.polygon.steps, f"connect {args.ends[0].stem}", "step") as bar:

        def shown_from(done):
            def show(step, loss):
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                bar.update(done + step - bar.n)

            return {"seed": args.seed, "on_record": show}

        relaxed = relax_ends(model, sequence_losses, data, ends, args.polygon, **shown_from(0))
        trained = train_polygon(
            model, sequence_losses, data, relaxed, args.polygon, **shown_from(args.polygon.steps)
        )
    meta = _stage.meta(args, args.tokens, *args.ends)
    for path, out in ((straight_line(*relaxed), args.straight), (trained, args.trained)):
        save_tensors({"pivots": path.pivots}, out, {**meta, "length": path.length})


if __name__ == "__main__":
    parser = _problem.parser(__doc__)
    parser.add_argument("--ends", type=Path, nargs=2, required=True, help="two checkpoints")
    parser.add_argument("--seed", type=int, required=True, help="of the path's minibatches")
    parser.add_argument(
        "--polygon", type=_stage.settings(PolygonSettings), required=True, help="settings, JSON"
    )
    parser.add_argument("--straight", type=Path, required=True, help="safetensors: pivots")
    parser.add_argument("--trained", type=Path, required=True, help="safetensors: pivots")
    _stage.run(main, parser)
