"""What every stage shares: arguments, threads, progress, and one clear line for every error."""

import argparse
import gc
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import stage

from valleyscope.artifacts import provenance
from valleyscope.engine.compiled import compiled_gradients
from valleyscope.errors import InputError, one_line

if TYPE_CHECKING:
    from tqdm import tqdm

SHARED = {  # options that mean the same in every stage that takes them
    "dims": {"type": int, "nargs": "+", "help": "D"},
    "dim": {"type": int, "help": "D"},
    "sigmas": {"type": float, "nargs": "+", "help": "σ of the probes"},
    "sigma": {"type": float, "help": "σ of the probes"},
    "samples": {"type": int, "help": "Monte Carlo draws"},
    "candidates": {"type": int, "help": "held-out sequences for the next one"},
    "probes": {"type": int, "help": "random vectors, of a trace or a density"},
    "tolerance": {"type": float, "help": "residual of an eigenpair over the largest eigenvalue"},
    "repeats": {"type": int, "help": "timed calls of each"},
    "seed": {"type": int, "help": "of every random draw"},
    "variant": {"help": "name of the training that found the ends"},
    "pair": {"help": "seeds of the ends, joined by a dash"},
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str):
        self.exit(2, f"{Path(self.prog).stem}: error: {one_line(message)}; see --help\n")


def parser(description: str) -> argparse.ArgumentParser:
    """A parser whose help is the stage's docstring, examples included."""
    result = _Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--threads", type=int, default=1, help="threads of torch")
    result.add_argument("--device", default="cpu", help="cpu or cuda")
    return result


def add(result: argparse.ArgumentParser, *names: str) -> None:
    """Add options of SHARED to a parser."""
    for name in names:
        result.add_argument(f"--{name}", required=True, **SHARED[name])


def add_settings(result: argparse.ArgumentParser, **kinds: type) -> None:
    """Add options that take the fields of a dataclass as a JSON object."""
    for name, kind in kinds.items():
        told = f"{kind.__name__}, JSON"
        result.add_argument(f"--{name}", type=_settings(kind), required=True, help=told)


def add_files(result: argparse.ArgumentParser, **told: str) -> None:
    """Add options that name a file."""
    for name, what in told.items():
        result.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True, help=what)


def _settings(kind: type) -> Callable[[str], object]:
    """An argument type: a JSON object whose keys are the fields of the dataclass `kind`."""

    def parse(text: str):
        try:
            return kind(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"not a valid {kind.__name__}: {error}") from None

    return parse


def run(
    main: Callable[[argparse.Namespace], None], arguments: argparse.ArgumentParser, keep_memory: bool = True
) -> None:
    """Parse, set threads, memory and determinism, call `main`; a mendable error ends in one line."""
    parsed = arguments.parse_args()
    gc.freeze()  # the libraries stay: never to be looked at again
    gc.enable()
    name = Path(sys.argv[0]).stem
    warnings.formatwarning = lambda message, *_: f"{name}: warning: {message}\n"
    if "torch" in sys.modules:
        import torch

        from valleyscope.engine.memory import keep_freed_memory

        if parsed.device == "cuda" and not torch.cuda.is_available():
            sys.exit(f"{name}: error: device cuda: torch sees no GPU; set device: cpu")
        torch.set_num_threads(parsed.threads)
        if keep_memory:
            keep_freed_memory()
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic cuBLAS needs it
        # As torch.use_deterministic_algorithms(True), which also loads the compiler: as long as torch again.
        torch.set_deterministic_debug_mode("error")
        torch.set_float32_matmul_precision("highest")
    folder = getattr(parsed, "compiled", None)
    try:
        with compiled_gradients(folder) if folder else nullcontext():
            main(parsed)
    except (InputError, FloatingPointError, OSError) as error:
        sys.exit(f"{name}: error: {one_line(str(error))}")
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        sys.exit(130)
    print(f"{name}: {_cost()}", file=sys.stderr)


def _cost() -> str:
    """Seconds and the most memory so far, as `report.reference.costs` reads them at the end of a log.

    Asked once: Snakemake's `benchmark:` reads every process's map of memory twice a second.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = peak / (2**20 if sys.platform == "darwin" else 2**10)
    return f"took {time.monotonic() - stage.STARTED:.2f} s and {memory:.0f} MB"


def meta(parsed: argparse.Namespace, *inputs: Path) -> dict:
    """Provenance of what this call writes: all arguments but paths and threads, and checksums of inputs."""
    chosen = {
        name: getattr(value, "__dict__", value)
        for name, value in sorted(vars(parsed).items())
        if name not in ("threads", "device", "compiled") and not _is_path(value)
    }
    if getattr(parsed, "compiled", None):
        chosen["compiled"] = True  # rounding depends on it
    return provenance(chosen, list(inputs), parsed.threads, parsed.device)


def _is_path(value) -> bool:
    return isinstance(value, Path) or (isinstance(value, list) and any(map(_is_path, value)))


class _Lines:
    """A stream that turns a progress bar's redraws into lines, for logs."""

    def write(self, text: str) -> None:
        text = text.replace("\r", "").strip()
        if text:
            sys.stderr.write(text + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress(total: int, name: str, unit: str) -> "tqdm":
    """A progress bar on a terminal; elsewhere a line every ten seconds."""
    from tqdm import tqdm

    if sys.stderr.isatty():
        return tqdm(total=total, desc=name, unit=unit)
    return tqdm(total=total, desc=name, unit=unit, file=_Lines(), mininterval=10, ncols=100)


def shown(bar: "tqdm", name: str = "loss") -> Callable[[int, float], None]:
    """A function that moves a progress bar on by so many steps and shows a value beside it."""

    def show(steps: int, value: float) -> None:
        bar.set_postfix({name: f"{value:.3f}"}, refresh=False)
        bar.update(steps)

    return show
