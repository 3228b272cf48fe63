"""Compare measured with predicted drift: slopes, velocities, exponents.

Example:
    python src/fit_drift.py --measured path_drift.csv --predicted path_drift_predicted.csv --inside 0.2 0.8 \\
        --slopes drift_slopes.csv --velocities drift_velocities.csv --exponents drift_exponents.csv
"""

from pathlib import Path

import stage.arguments

from valleyscope.artifacts import read_table, write_table
from valleyscope.readings.drift import SETTING, exponents, slopes, velocities


def main(args):
    keys = ["pair", "position", *SETTING]
    measured = read_table(args.measured, [*keys, "entropic", "displacement_se", "followed", "followed_se"])
    predicted = read_table(args.predicted, [*keys, "predicted", "predicted_se", "leading", "leading_se"])
    meta = stage.arguments.meta(args, args.measured, args.predicted)
    speeds = velocities(measured, predicted, args.inside)
    # Empty where the prediction does not rise above its own error.
    unknown = ["slope", "slope_se", "chi2_dof"]
    write_table(slopes(measured, predicted), args.slopes, meta, may_be_empty=unknown)
    write_table(speeds, args.velocities, meta)
    # Empty where a velocity is not positive, or a sweep has one value.
    unknown = ["exponent", "exponent_se", "predicted", "formula"]
    write_table(exponents(speeds), args.exponents, meta, may_be_empty=unknown)


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--measured", type=Path, required=True, help="CSV of measure_drift")
    parser.add_argument("--predicted", type=Path, required=True, help="CSV of predict_drift")
    parser.add_argument(
        "--inside", type=float, nargs=2, required=True, help="positions that count for a velocity"
    )
    parser.add_argument("--slopes", type=Path, required=True, help="CSV to write")
    parser.add_argument("--velocities", type=Path, required=True, help="CSV to write")
    parser.add_argument("--exponents", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
