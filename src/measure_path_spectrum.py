"""Spectral density of the Hessian at some positions of a path.

Example:
    python src/measure_path_spectrum.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --path path.safetensors --variant adamw --kind autoneb \\
        --pair 0-1 --positions 0 0.25 0.5 --steps 20 --probes 4 --points 241 --width 0.01 --seed 0 \\
        --out spectrum.csv
"""

import stage.arguments
import stage.path
import stage.problem

from valleyscope.connectivity.profile import path_spectrum
from valleyscope.models.model import sequence_losses


def main(args):
    data, _ = stage.problem.data(args)
    table = path_spectrum(
        stage.problem.model(args),
        sequence_losses,
        data,
        stage.path.load(args),
        args.positions,
        steps=args.steps,
        probes=args.probes,
        points=args.points,
        width=args.width,
        seed=args.seed,
        memory_budget=args.memory_budget,
    )
    stage.path.write(table, args.out, args)


if __name__ == "__main__":
    parser = stage.path.parser(__doc__)
    parser.add_argument("--positions", type=float, nargs="+", required=True, help="in [0, 1]")
    stage.arguments.add(parser, "probes")
    parser.add_argument("--steps", type=int, required=True, help="Lanczos steps a probe")
    parser.add_argument("--points", type=int, required=True, help="eigenvalues of the density's grid")
    parser.add_argument("--width", type=float, required=True, help="of the blur, over the grid's range")
    stage.arguments.add_files(parser, out="CSV, a row a position and eigenvalue")
    stage.arguments.run(main, parser)
