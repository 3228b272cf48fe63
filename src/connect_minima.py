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
from pathlib import Path

import pandas as pd

import stage.arguments
import stage.problem
from valleyscope.artifacts import digest, load_tensors, read_json, save_tensors, sidecar, write_table
from valleyscope.connectivity.finders import (
    CurveSettings,
    Descent,
    NebSettings,
    Search,
    autoneb,
    curve_path,
    train_curve,
)
from valleyscope.errors import InputError
from valleyscope.models.model import sequence_losses
from valleyscope.paths import straight_line

FINDERS = {"straight": None, "bezier": CurveSettings, "polygon": CurveSettings, "autoneb": NebSettings}


def finder_of(args):
    kind = FINDERS[args.kind]
    try:
        return None if kind is None else kind(**args.finder)
    except TypeError as error:
        raise InputError(f"--finder does not fit --kind {args.kind}: {error}") from None


def resumed(state: Path, key: str) -> Search | None:
    """The search that an interrupted call with the same settings and inputs left, if any."""
    if not state.exists() or not sidecar(state).exists():
        return None
    meta = read_json(sidecar(state))
    if meta.get("key") != key:
        return None
    return Search(meta["cycle"], load_tensors(state, ["points"])["points"], meta["history"])


def main(args):
    data, _ = stage.problem.data(args)
    model = stage.problem.model(args)
    ends = load_tensors(args.ends, ["pivots"])["pivots"].to(args.device)
    finder = finder_of(args)
    meta = stage.arguments.meta(args, args.tokens, args.ends)
    state = args.out.with_name(f"search_{args.out.name}")
    key = digest({"settings": meta["settings"], "inputs": meta["inputs"]})
    found = Search(0, ends)
    with stage.arguments.progress(
        sum(args.descent.steps), f"{args.kind} {args.variant} {args.pair}", "step"
    ) as bar:

        def show(steps, loss):
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(steps)

        def keep(search):
            nonlocal found
            found = search
            save_tensors(
                {"points": search.points},
                state,
                {"key": key, "cycle": search.cycle, "history": search.history},
            )

        before = resumed(state, key)
        if before is not None:
            found = before
            bar.update(sum(args.descent.steps[: before.cycle]))
        options = {"seed": args.seed, "resume": before, "on_cycle": keep, "on_step": show}
        common = (model, sequence_losses, data, ends, args.descent)
        if args.kind == "straight":
            path = straight_line(*ends)
        elif args.kind == "autoneb":
            path = autoneb(*common, finder, **options)
        else:
            path = curve_path(train_curve(*common, args.kind, finder, **options), args.kind, finder.pivots)
    row = {
        "variant": args.variant,
        "kind": args.kind,
        "pair": args.pair,
        "pivots": len(path.pivots),
        "length": path.length,
        "straight": straight_line(*ends).length,
        "evenness": path.evenness,
        "loss": found.history[-1] if found.history else float("nan"),
    }
    write_table(pd.DataFrame([row]), args.table, meta, may_be_empty=["loss"])  # of a straight line
    save_tensors({"pivots": path.pivots}, args.out, meta)
    for left in (state, sidecar(state)):
        left.unlink(missing_ok=True)


if __name__ == "__main__":
    parser = stage.problem.parser(__doc__)
    parser.add_argument("--ends", type=Path, required=True, help="safetensors: pivots (2, N)")
    parser.add_argument("--variant", required=True, help="name of the training that found the ends")
    parser.add_argument("--pair", required=True, help="name of the pair of ends")
    parser.add_argument("--kind", choices=FINDERS, required=True, help="path finder")
    parser.add_argument("--finder", type=json.loads, default={}, help="its settings, JSON")
    parser.add_argument(
        "--descent", type=stage.arguments.settings(Descent), required=True, help="settings, JSON"
    )
    parser.add_argument("--seed", type=int, required=True, help="of the minibatches")
    parser.add_argument("--out", type=Path, required=True, help="safetensors to write: pivots")
    parser.add_argument("--table", type=Path, required=True, help="CSV with one row")
    stage.arguments.run(main, parser)
