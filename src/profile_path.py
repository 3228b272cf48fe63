"""Measure loss, curvature, gradient noise and Paper A's criterion along the paths between two minima.

A finished path is kept beside the output until the last has ended, so that a killed stage goes on there.

Example:
    python src/profile_path.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --pair 0-1 --paths path.safetensors \\
        --curves adamw_autoneb --points 15 --dense-points 101 --seed 0 \\
        --profile '{"probes": 16, "label_probes": 8, "noise_draws": 8, "eigenpairs": 8, "tolerance": 1e-3}' \\
        --curvature curvature.csv --eigenvalues eigenvalues.csv --groups groups.csv --losses losses.csv \\
        --judged adamw_autoneb --candidates 8 --dims 1 4 8 --sigmas 1e-3 1e-2 --criteria criteria.csv
"""

import argparse
from functools import partial
from pathlib import Path

import stage.arguments
import stage.path
import stage.problem
from stage.pieces import Pieces

import numpy as np
import pandas as pd

from valleyscope.connectivity.path_criteria import path_criteria
from valleyscope.connectivity.profile import ProfileSettings, loss_profile, profile_path
from valleyscope.errors import InputError
from valleyscope.models.model import sequence_losses

TABLES = ("curvature", "eigenvalues", "groups", "losses")  # of every path


def logits(model, batch):
    return model(batch[:, :-1])


def curves(args):
    """The arguments of each path alone, its names and outputs among them."""
    lists = {"path": args.paths, "curve": args.curves, **{name: getattr(args, name) for name in TABLES}}
    if len(set(map(len, lists.values()))) != 1:
        raise InputError("--paths, --curves and the tables differ in length; give one a path")
    if args.judged not in args.curves:
        raise InputError(f"--judged {args.judged} is none of --curves")
    shared = {name: value for name, value in vars(args).items() if name not in ("paths", "curves")}
    for own in zip(*lists.values(), strict=True):
        one = argparse.Namespace(**shared | dict(zip(lists, own, strict=True)))
        one.variant, _, one.kind = one.curve.rpartition("_")
        yield one


def profiled(one, model, data, held_out):
    """The tables of one path."""
    path = stage.path.load(one)
    criteria = []
    name = f"profile {one.variant} {one.kind} {one.pair}"
    with stage.arguments.progress(one.points, name, "point") as bar:

        def measured(place):
            if one.curve == one.judged:
                candidates = held_out[: one.candidates]
                criteria.append(
                    path_criteria(model, sequence_losses, place, candidates, one.dims, one.sigmas)
                )
            bar.update()

        tables = profile_path(
            model,
            sequence_losses,
            logits,
            data,
            path,
            np.linspace(0, 1, one.points).tolist(),
            one.profile,
            seed=one.seed,
            memory_budget=one.memory_budget,
            on_point=measured,
        )
    dense = np.linspace(0, 1, one.dense_points).tolist()
    tables["losses"] = loss_profile(model, sequence_losses, data, held_out, path, dense)
    if criteria:
        tables["criteria"] = pd.concat(criteria, ignore_index=True)
    return tables


def main(args):
    data, held_out = stage.problem.data(args)
    model = stage.problem.model(args)
    kept = []
    for one in curves(args):
        meta = stage.arguments.meta(one, one.tokens, one.path)
        pieces = Pieces.of(one.curvature, meta)
        tables = pieces.tables("path", partial(profiled, one, model, data, held_out))
        for name, table in tables.items():
            stage.path.write(table, getattr(one, name), one)
        kept.append(pieces)
    for pieces in kept:
        pieces.remove()


if __name__ == "__main__":
    parser = stage.problem.curvature_parser(__doc__)
    stage.arguments.add(parser, "pair", "seed")
    parser.add_argument("--paths", type=Path, nargs="+", required=True, help="safetensors: pivots")
    parser.add_argument("--curves", nargs="+", required=True, help="name of each: variant_kind")
    parser.add_argument("--points", type=int, required=True, help="positions with curvature")
    parser.add_argument("--dense-points", type=int, required=True, help="positions with losses")
    stage.arguments.add_settings(parser, profile=ProfileSettings)
    for table in TABLES:
        parser.add_argument(
            f"--{table}", type=Path, nargs="+", required=True, help="CSV to write, one a path"
        )
    parser.add_argument("--judged", required=True, help="name of the path with criteria")
    stage.arguments.add(parser, "candidates", "dims", "sigmas")
    stage.arguments.add_files(parser, criteria="CSV of that path")
    stage.arguments.run(main, parser)
