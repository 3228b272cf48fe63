"""Simulate particles in the toy valley of Paper B; write the coefficients of its effective potential.

Example:
    python src/simulate_valley.py --seed 0 --fits fits.csv --profile profile.csv --trajectories walks.csv \\
        --valley '{"stiffness": 10, "contrast": 1, "temperature": 1, "step_size": 4e-4, "particles": 1500,
                   "burn_in": 12500, "steps": 35000, "every": 250, "drift_temperature": 0.025,
                   "drift_starts": 16, "drift_particles": 250, "drift_steps": 2400}'
"""

import stage.arguments

import numpy as np
import pandas as pd

from valleyscope.artifacts import write_table
from valleyscope.connectivity.valley import NOISES, ValleySettings, measure_density, measure_drift, walk


def main(args):
    streams = iter(np.random.default_rng(args.seed).spawn(2 * len(NOISES) + 1))
    measured = []
    total = len(NOISES) * (args.valley.burn_in + args.valley.steps) // args.valley.every
    with stage.arguments.progress(total, f"valley {args.seed}", "record") as bar:
        for noise in NOISES:
            measured.append(measure_density(args.valley, noise, next(streams), bar.update))
            measured.append(measure_drift(args.valley, noise, next(streams)))
    fits, profiles = (pd.concat(tables, ignore_index=True) for tables in zip(*measured, strict=True))
    walks = walk(args.valley, next(streams))
    for table, out in ((fits, args.fits), (profiles, args.profile), (walks, args.trajectories)):
        table.insert(0, "seed", args.seed)
        write_table(table, out, stage.arguments.meta(args))


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    stage.arguments.add_settings(parser, valley=ValleySettings)
    stage.arguments.add(parser, "seed")
    stage.arguments.add_files(
        parser,
        fits="CSV of coefficients",
        profile="CSV of density and drift along y",
        trajectories="CSV of single particles",
    )
    stage.arguments.run(main, parser)
