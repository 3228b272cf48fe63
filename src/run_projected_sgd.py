"""Run SGD and its rivals and controls from positions on a path, projected back to it every few steps.

A finished run is kept beside the output until the last has ended, so that a killed stage goes on from there.

Example:
    python src/run_projected_sgd.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 64 --data-seed 0 --held-out-sequences 256 --path path.safetensors \\
        --variant adamw --kind autoneb --pair 0-1 --seed 0 \\
        --runs '[{"run": "momentum", "starts": [0.2, 0.5, 0.8], "replicas": 3, "sgd":
                  {"learning_rate": 0.05, "momentum": 0.9, "batch": 4, "steps": 2400, "period": 15}}]' \\
        --out momentum.csv
"""

import json
from functools import partial
from pathlib import Path

import stage.arguments
import stage.path
import stage.problem
from stage.pieces import Pieces

import torch

from valleyscope.dynamics import SgdSettings, projected_sgd
from valleyscope.errors import InputError
from valleyscope.models.model import sequence_losses

RUN = {"run", "starts", "replicas", "sgd"}


def checked(runs):
    """The SgdSettings of each of --runs; InputError where one is not what it should be."""
    if not isinstance(runs, list) or not all(isinstance(run, dict) and set(run) == RUN for run in runs):
        raise InputError(f"--runs: not a list of objects with {', '.join(sorted(RUN))}")
    if len({run["run"] for run in runs}) < len(runs):
        raise InputError("--runs: two runs have one name")
    settings = []
    for run in runs:
        try:
            settings.append(SgdSettings(**run["sgd"]))
        except TypeError as error:
            raise InputError(f"--runs: sgd of {run['run']}: {error}") from None
    return settings


def trajectories(args, data, run, settings):
    """The table of one run."""
    starts = torch.tensor(run["starts"], dtype=torch.float64).repeat_interleave(run["replicas"])
    name = f"sgd {run['run']} {args.pair}"
    with stage.arguments.progress(settings.steps // settings.period, name, "period") as bar:
        table = projected_sgd(
            stage.problem.model(args),
            sequence_losses,
            data,
            stage.path.load(args),
            starts,
            settings,
            seed=args.seed,
            on_period=lambda period: bar.update(),
        )
    table.insert(0, "run", run["run"])
    return {"trajectories": table}


def main(args):
    settings = checked(args.runs)
    if len(args.out) != len(args.runs):
        raise InputError("--runs and --out differ in length; give one file for each run")
    data, _ = stage.problem.data(args)
    pieces = Pieces.of(args.out[0], stage.arguments.meta(args, args.tokens, args.path))
    for run, chosen, out in zip(args.runs, settings, args.out, strict=True):
        tables = pieces.tables(run["run"], partial(trajectories, args, data, run, chosen))
        # Nothing has a loss or a step before the first.
        stage.path.write(tables["trajectories"], out, args, may_be_empty=["loss", "step_size"])
    pieces.remove()


if __name__ == "__main__":
    parser = stage.path.parser(__doc__)
    stage.problem.add_compiled(parser)
    told = "JSON list: run (its name), starts in [0, 1], replicas from each, sgd (SgdSettings)"
    parser.add_argument("--runs", type=json.loads, required=True, help=told)
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="CSV a run, a row a replica, period"
    )
    stage.arguments.run(main, parser)
