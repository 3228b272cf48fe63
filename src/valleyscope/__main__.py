"""Probe the loss landscape of your own model.

Your file has a function that returns the model, the loss and the data:

    def build():
        return model, loss_fn, data    # loss_fn(model, batch) -> one loss a sample, shape (n,)

Examples:
    python -m valleyscope probe my_model.py:build --k 64 --dims 1,4,16 --sigmas 1e-4,1e-3 --out probed
    python -m valleyscope path my_model.py:build --ends first.safetensors second.safetensors --out traced
"""

import argparse
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from valleyscope.errors import InputError, one_line

PROBE = """What one more sample does to the loss around the weights (Paper A).

Writes summary.json, table.csv, terms.csv, costs.csv, eigenpairs.safetensors, a figure and index.html.

Example:
    python -m valleyscope probe my_model.py:build --k 64 --dims 1,4,16 --sigmas 1e-4,1e-3 --out probed
"""
PATH = """A low-loss path between two weights, its curvature and the drift of SGD on it (Paper B).

The ends are state dicts: safetensors.torch.save_model(model, "first.safetensors").
Writes summary.json, losses.csv, curvature.csv, drift.csv, path.safetensors, a figure and index.html.

Example:
    python -m valleyscope path my_model.py:build --ends first.safetensors second.safetensors --out traced
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: error: {one_line(message)}; see --help\n")


def _numbers(kind: type) -> Callable[[str], list]:
    """An argument type: numbers separated by commas."""

    def parse(text: str) -> list:
        try:
            return [kind(part) for part in text.split(",")]
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,4,16") from None

    return parse


def _count(least: int) -> Callable[[str], int]:
    """An argument type: an integer that is at least `least`."""

    def parse(text: str) -> int:
        if not text.lstrip("-").isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least {least}")
        return int(text)

    return parse


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    raw = argparse.RawDescriptionHelpFormatter
    result = _Parser(prog="python -m valleyscope", description=__doc__, formatter_class=raw)
    commands = result.add_subparsers(dest="command", required=True, parser_class=_Parser)
    probe = commands.add_parser(
        "probe", help="what one more sample does", description=PROBE, formatter_class=raw
    )
    probe.add_argument(
        "--k", type=_count(1), required=True, help="samples in the mean loss; the next one is added"
    )
    probe.add_argument("--dims", type=_numbers(int), default=[1, 4, 16], help="D, as 1,4,16 (default)")
    probe.add_argument(
        "--sigmas", type=_numbers(float), default=[1e-4, 1e-3, 1e-2], help="σ, as 1e-4,1e-3,1e-2 (default)"
    )
    probe.add_argument("--samples", type=_count(3), default=64, help="Monte Carlo draws (default 64)")
    path = commands.add_parser(
        "path", help="a path between two weights", description=PATH, formatter_class=raw
    )
    path.add_argument("--ends", type=Path, nargs=2, required=True, help="two state dicts, safetensors")
    path.add_argument("--positions", type=_count(3), default=9, help="with curvature, odd (default 9)")
    path.add_argument("--drift-positions", type=_count(0), default=6, help="with drift; 0: none (default 6)")
    path.add_argument("--replicas", type=_count(2), default=32, help="of SGD at each of those (default 32)")
    for command in (probe, path):
        command.add_argument("model", help="FILE.py:FUNCTION; the file is imported and the function called")
        command.add_argument("--params", nargs="+", help="glob patterns on names of weights; default: all")
        command.add_argument("--seed", type=_count(0), default=0, help="of every random draw (default 0)")
        command.add_argument(
            "--threads", type=_count(1), help="threads of torch; default: torch's own choice"
        )
        command.add_argument(
            "--memory-budget", type=float, help="bytes for graphs; default: half of what is free"
        )
        command.add_argument("--debug", action="store_true", help="show where an error came from")
        command.add_argument("--out", type=Path, required=True, help="folder to write")
    return result


def run_probe(args: argparse.Namespace) -> dict:
    """Probe, save and draw; returns the summary."""
    from valleyscope.figures.probe import draw
    from valleyscope.loading import load_problem
    from valleyscope.probing import probe

    model, loss_fn, data = load_problem(args.model)
    result = probe(
        model,
        loss_fn,
        data,
        k=args.k,
        dims=args.dims,
        sigmas=args.sigmas,
        samples=args.samples,
        seed=args.seed,
        params=args.params,
        memory_budget=args.memory_budget,
        on_stage=_said,
    )
    tables = {"Criteria": result.table, "Terms": result.terms, "Cost": result.costs}
    return _written(args, "Probe", result, draw(result.table, result.terms), tables)


def run_path(args: argparse.Namespace) -> dict:
    """Trace, save and draw; returns the summary."""
    from tqdm import tqdm

    from valleyscope.figures.trace import draw
    from valleyscope.loading import load_problem, load_weights
    from valleyscope.tracing import trace_path

    model, loss_fn, data = load_problem(args.model)
    first, second = (load_weights(path) for path in args.ends)
    with tqdm(desc="descent", unit="step", disable=not sys.stderr.isatty()) as bar:
        result = trace_path(
            model,
            first,
            second,
            loss_fn,
            data,
            positions=args.positions,
            drift_positions=args.drift_positions,
            replicas=args.replicas,
            seed=args.seed,
            params=args.params,
            memory_budget=args.memory_budget,
            on_stage=_said,
            on_step=lambda steps, loss: bar.update(steps),
        )
    tables = {"Curvature": result.curvature, "Drift": result.drift}
    picture = draw(result.losses, result.curvature, result.drift, barrier=result.barrier, rise=result.rise)
    return _written(args, "Path", result, picture, tables)


def _written(args: argparse.Namespace, title: str, result, picture, tables: dict) -> dict:
    """Save the result and its page with the picture; returns the summary."""
    from valleyscope.report.pages import write_page

    result.save(args.out)
    summary = result.summary()
    write_page(args.out, f"{title} of {args.model}", picture, summary, tables)
    return summary


def _said(stage: str) -> None:
    print(f"valleyscope: {stage}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """Parse, run, print the summary as JSON; an error, the user's code's too, ends in one line."""
    args = parser().parse_args(arguments)
    warnings.formatwarning = lambda message, *_: f"valleyscope: warning: {message}\n"
    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    run = {"probe": run_probe, "path": run_path}[args.command]
    try:
        print(json.dumps(run(args), indent=2))
    except (InputError, FloatingPointError, OSError) as error:
        if args.debug:
            raise
        sys.exit(f"valleyscope: error: {one_line(str(error))}")
    except Exception as error:  # of the user's model or loss
        if args.debug:
            raise
        from valleyscope.loading import where

        told = where(error, Path(args.model.partition(":")[0]))
        sys.exit(f"valleyscope: error: {one_line(told)}; --debug shows where it came from")
    except KeyboardInterrupt:
        print("valleyscope: interrupted", file=sys.stderr)
        sys.exit(130)
    print(f"valleyscope: wrote {args.out / 'index.html'}", file=sys.stderr)


if __name__ == "__main__":
    main()
