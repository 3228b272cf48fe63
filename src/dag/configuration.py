"""The configuration is right or refused: one line with the key, the value and what is allowed."""

import ast
import difflib
import json
import math
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import jsonschema
import yaml

from valleyscope.errors import InputError, one_line


def check_config(config: dict, schema: Path) -> None:
    """Raise InputError with one line about the first thing that is wrong with `config`."""
    _check_keys(config, "")
    validator = _validator(schema.read_text(encoding="utf-8"))
    first = jsonschema.exceptions.best_match(validator.iter_errors(config))
    if first is not None:
        raise InputError(one_line(_describe(first)))
    for section in ("landscape", "connectivity"):
        _check_model(config[section]["model"], f"{section}.model")
    landscape, connectivity = config["landscape"], config["connectivity"]
    _check_training(landscape["training"], landscape["sequences"], "landscape")
    for variant, training in connectivity["training"].items():
        _check_training(training, connectivity["sequences"], "connectivity", f".{variant}")
    _check_landscape(config["landscape"], config["data"]["vocab_size"])
    _check_connectivity(config["connectivity"])
    _check_architectures(config["architectures"])
    _check_size_of_text(config)


def _is_number(checker, value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# JSON Schema takes 8.0 for an integer and YAML has .nan: neither can be a count here.
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number).redefine(
        "integer", lambda checker, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


@lru_cache
def _validator(schema: str) -> jsonschema.protocols.Validator:
    return _Validator(yaml.safe_load(schema))


def _check_keys(section, path: str) -> None:
    """Refuse keys that are not text, which YAML makes of bare words such as `on` or numbers."""
    for key, value in section.items():
        if not isinstance(key, str):
            refuse(f"{path}{key}", key, "a key must be text; put it in quotes")
        if isinstance(value, dict):
            _check_keys(value, f"{path}{key}.")


def parameter_count(model: dict, vocab_size: int) -> int:
    """N of the transformer with these settings, without building it."""
    width = model["width"]
    attention = 2 * width**2 + 2 * width * width * model["kv_heads"] // model["heads"]
    mlp = 2 * model["mlp_ratio"] * width**2
    return 2 * vocab_size * width + model["depth"] * (attention + mlp)


def refuse(key: str, value, allowed: str) -> None:
    """Raise the one-line error of this module."""
    raise InputError(one_line(f"config: {key}: {_shown(value)} is not allowed; {allowed}"))


def _shown(value) -> str:
    return json.dumps(value, default=str)


def _describe(error: jsonschema.ValidationError) -> str:
    key = error.json_path.removeprefix("$").removeprefix(".") or "(top level)"
    value = error.instance
    match error.validator:
        case "additionalProperties":
            known = sorted(error.schema["properties"])
            unknown = sorted(set(value) - set(known))[0]
            close = difflib.get_close_matches(unknown, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
            path = unknown if key == "(top level)" else f"{key}.{unknown}"
            return f"config: {path}: unknown key; {hint}"
        case "required":
            missing = sorted(set(error.validator_value) - set(value))[0]
            return f"config: {key}: key {missing} is missing; add it"
        case "type":
            kind = error.validator_value
            allowed = f"it must be of type {kind if isinstance(kind, str) else ' or '.join(kind)}"
            if kind == "number":
                allowed = "it must be a finite number"
            if isinstance(value, str) and "e" in value:
                allowed += " (YAML reads 1e-3 as text: write 1.0e-3)"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            sign = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
            allowed = f"it must be {sign[error.validator]} {error.validator_value}"
        case "enum":
            allowed = f"it must be one of {error.validator_value}"
        case "minItems":
            allowed = f"it needs at least {error.validator_value} entries"
        case "uniqueItems":
            allowed = "its entries must differ"
        case "pattern":
            allowed = f"it must match {error.validator_value}"
        case _:
            allowed = f"it must satisfy {error.validator}: {error.validator_value}"
    return f"config: {key}: {_shown(value)} is not allowed; {allowed}"


def _check_model(model: dict, key: str) -> None:
    if model["width"] % (2 * model["heads"]):
        refuse(f"{key}.width", model["width"], f"a multiple of 2 x heads = {2 * model['heads']} is")
    if model["heads"] % model["kv_heads"]:
        refuse(f"{key}.kv_heads", model["kv_heads"], f"a divisor of heads = {model['heads']} is")


def _check_training(training: dict, count: int, key: str, variant: str = "", data: str = "sequences") -> None:
    if training["batch"] > count:
        allowed = f"it must be at most {key}.{data} = {count}"
        refuse(f"{key}.training{variant}.batch", training["batch"], allowed)


def _check_landscape(section: dict, vocab_size: int) -> None:
    size = parameter_count(section["model"], vocab_size)
    _check_directions(section, size)
    _check_sizes(section)
    minimisers, focus = section["minimisers"], section["focus"]
    if section["candidate_draws"] > section["samples"]:
        allowed = f"it must be at most landscape.samples = {section['samples']}"
        refuse("landscape.candidate_draws", section["candidate_draws"], allowed)
    first = minimisers["centre_from"]
    if not max(minimisers["k"]) < first <= section["sequences"] - section["training"]["batch"]:
        allowed = (
            "it must lie beyond every minimisers.k and leave training.batch sequences of "
            f"landscape.sequences = {section['sequences']}"
        )
        refuse("landscape.minimisers.centre_from", first, allowed)
    if focus["k"] not in minimisers["k"]:
        refuse("landscape.focus.k", focus["k"], f"it must be one of minimisers.k = {minimisers['k']}")
    if focus["geometry"]["points"] % 2 == 0:
        refuse("landscape.focus.geometry.points", focus["geometry"]["points"], "it must be odd")


def _check_directions(section: dict, size: int) -> None:
    """Every D against the eigenpairs that are found, those against N."""
    focus = section["focus"]
    pairs = focus["eigenpairs"]
    wanted = {
        "dims": section["dims"],
        "focus.eigenpairs": [pairs],
        "eigensolvers.count": [section["eigensolvers"]["count"]],
        "published.dim": [section["published"]["dim"]],
        "timing.dim": [section["timing"]["dim"]],
    }
    for key, dims in wanted.items():
        if max(dims) >= size:
            refuse(f"landscape.{key}", max(dims), f"it must be below the model's N = {size} parameters")
    for key in ("expansion", "precision", "estimators", "subspaces"):
        if max(focus[key]["dims"]) > pairs:
            allowed = f"it must be at most landscape.focus.eigenpairs = {pairs}"
            refuse(f"landscape.focus.{key}.dims", max(focus[key]["dims"]), allowed)
    if max(section["spectrum"]["dims"]) > max(section["dims"]):
        allowed = f"it must be at most the largest of landscape.dims = {section['dims']}"
        refuse("landscape.spectrum.dims", max(section["spectrum"]["dims"]), allowed)


def _check_sizes(section: dict) -> None:
    """Every k against the data, the batch and the grids that it must lie on."""
    grid, batch = section["trajectory"]["k"], section["training"]["batch"]
    wanted = {
        "trajectory.k": grid,
        "minimisers.k": section["minimisers"]["k"],
        "eigensolvers.k": [section["eigensolvers"]["k"]],
        "published.k": section["published"]["k"],
        "timing.k": section["timing"]["k"],
    }
    for key, sizes in wanted.items():
        if max(sizes) + 1 > section["sequences"]:
            allowed = f"k + 1 must be at most landscape.sequences = {section['sequences']}"
            refuse(f"landscape.{key}", max(sizes), allowed)
    for k in grid:
        if k % batch:
            refuse(
                "landscape.trajectory.k", k, f"it must be a multiple of landscape.training.batch = {batch}"
            )
    narrow, wide = section["trajectory"]["narrow_dims"], section["trajectory"]["wide_until"]
    if not set(narrow) <= set(section["dims"]):
        refuse(
            "landscape.trajectory.narrow_dims", narrow, f"all must be in landscape.dims = {section['dims']}"
        )
    if wide < 2 * max(section["spectrum"]["k"]):
        allowed = (
            f"it must be at least twice the largest of landscape.spectrum.k = {section['spectrum']['k']}"
        )
        refuse("landscape.trajectory.wide_until", wide, allowed)
    for k in section["spectrum"]["k"]:
        if not {k, 2 * k} <= set(grid):
            refuse("landscape.spectrum.k", k, f"k and 2k must both be in landscape.trajectory.k = {grid}")


def _check_connectivity(section: dict) -> None:
    _check_pairs(section["pairs"], "connectivity")
    _check_descent(section["descent"], "connectivity")
    drift = section["drift"]
    for variant, kinds in section["kinds"].items():
        if "autoneb" not in kinds:
            refuse(
                f"connectivity.kinds.{variant}", kinds, "autoneb must be among them: claims are read off it"
            )
    settings = {f"dynamics.runs.{name}.sgd": run["sgd"] for name, run in section["dynamics"]["runs"].items()}
    for key, sgd in {**settings, "averages.sgd": section["averages"]["sgd"]}.items():
        if sgd["steps"] % sgd["period"]:
            allowed = f"it must be a multiple of period = {sgd['period']}"
            refuse(f"connectivity.{key}.steps", sgd["steps"], allowed)
    fewest = min(drift["replicas"], drift["replicas_at_least_rate"])
    if drift["followed"] > fewest:
        allowed = f"it must be at most connectivity.drift.replicas = {fewest}"
        refuse("connectivity.drift.followed", drift["followed"], allowed)
    if max(section["criteria"]["dims"]) > section["profile"]["settings"]["eigenpairs"]:
        allowed = (
            f"it must be at most profile.settings.eigenpairs = {section['profile']['settings']['eigenpairs']}"
        )
        refuse("connectivity.criteria.dims", max(section["criteria"]["dims"]), allowed)
    _check_branching(section)
    points = section["profile"]["points"]
    if points % 2 == 0:
        refuse("connectivity.profile.points", points, "it must be odd, so that the middle is one")


def _check_pairs(pairs: list, key: str) -> None:
    seeds = [seed for pair in pairs for seed in pair]
    shared = next((seed for seed in seeds if seeds.count(seed) > 1), None)
    if shared is not None:
        allowed = f"seed {shared} stands in two pairs, which are then not independent"
        refuse(f"{key}.pairs", pairs, allowed)


def _check_descent(descent: dict, key: str) -> None:
    for name in ("batches", "learning_rates"):
        if len(descent[name]) != len(descent["steps"]):
            allowed = f"it needs one entry a cycle, {len(descent['steps'])} as steps has"
            refuse(f"{key}.descent.{name}", descent[name], allowed)


DIGITS = 1797  # of scikit-learn's set
MODELS = Path(__file__).parents[1] / "valleyscope/models/architectures.py"
GIVEN = ("vocab_size", "context")  # settings of a model that other keys of the configuration give


@dataclass(frozen=True)
class Kind:
    """A row of the library's `KINDS`: task, settings that it needs, and settings that have a default."""

    task: str
    needs: list[str]
    takes: list[str]


@cache
def kinds() -> dict[str, Kind]:
    """The rows of `KINDS` in models/architectures.py, read from its text: importing it would load torch."""
    tree = ast.parse(MODELS.read_text(encoding="utf-8"))
    table = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "KINDS"
    )
    return {ast.literal_eval(name): _kind(row) for name, row in zip(table.keys, table.values, strict=True)}


def _kind(row: ast.Call) -> Kind:
    words = {word.arg: ast.literal_eval(word.value).split() for word in row.keywords}
    return Kind(ast.literal_eval(row.args[0]), words["needs"], words.get("takes", []))


def _check_kind(model: dict, key: str) -> None:
    """One of `architectures.models`: a kind that there is, with the settings it needs and no others."""
    if model["kind"] not in kinds():
        refuse(f"{key}.kind", model["kind"], f"it must be one of {', '.join(kinds())}")
    kind, settings = kinds()[model["kind"]], model["settings"]
    needed = [name for name in kind.needs if name not in GIVEN]
    missing = [name for name in needed if name not in settings]
    if missing:
        refuse(f"{key}.settings", settings, f"{missing[0]} is missing; add it")
    unknown = sorted(set(settings) - {*needed, *kind.takes})
    if unknown:
        refuse(f"{key}.settings", settings, f"a model of kind {model['kind']} takes no {unknown[0]}")
    if model["kind"] == "transformer":
        _check_model(settings, f"{key}.settings")


def _check_architectures(section: dict) -> None:
    """Models by their kind, every k and size against the data, the paths' models among the models."""
    key, study, paths = "architectures", section["study"], section["paths"]
    for name, model in section["models"].items():
        _check_kind(model, f"{key}.models.{name}")
    digits = DIGITS - section["held_out"]
    if section["samples"] > digits:
        refuse(f"{key}.samples", section["samples"], f"it must be at most {DIGITS} - held_out = {digits}")
    if max(study["k"]) + 1 > section["samples"]:
        refuse(f"{key}.study.k", max(study["k"]), f"k + 1 must be at most samples = {section['samples']}")
    if study["validity"]["k"] not in study["k"]:
        refuse(f"{key}.study.validity.k", study["validity"]["k"], f"it must be one of study.k = {study['k']}")
    for task, training in section["training"].items():
        for k in study["k"]:
            if k % training["batch"]:
                allowed = f"it must be a multiple of training.{task}.batch = {training['batch']}"
                refuse(f"{key}.study.k", k, allowed)
    for name, most in (("candidates", section["held_out"]), ("candidate_draws", study["samples"])):
        if study[name] > most:
            refuse(f"{key}.study.{name}", study[name], f"it must be at most {most}")
    for name in paths["models"]:
        if name not in section["models"]:
            refuse(f"{key}.paths.models", name, f"it must be one of {', '.join(section['models'])}")
    if paths["samples"] > digits:
        refuse(f"{key}.paths.samples", paths["samples"], f"it must be at most {DIGITS} - held_out = {digits}")
    _check_training(paths["training"], paths["samples"], f"{key}.paths", data="samples")
    _check_pairs(paths["pairs"], f"{key}.paths")
    _check_descent(paths["descent"], f"{key}.paths")
    if paths["profile"]["positions"] % 2 == 0:
        refuse(f"{key}.paths.profile.positions", paths["profile"]["positions"], "it must be odd")


def _check_branching(section: dict) -> None:
    branching = section["branching"]
    if len(branching["parents"]) != len(section["pairs"]):
        allowed = f"it needs one seed for each of the {len(section['pairs'])} connectivity.pairs"
        refuse("connectivity.branching.parents", branching["parents"], allowed)
    branches, steps = branching["settings"]["branches"], branching["settings"]["steps"]
    if sorted(branches) != branches or branches[-1] >= steps:
        refuse(
            "connectivity.branching.settings.branches", branches, f"they must ascend, below steps = {steps}"
        )


def _check_size_of_text(config: dict) -> None:
    """A token is at least a byte, so a text holds at most its bytes / (context + 1) sequences."""
    data = config["data"]
    size, name = data["bytes"], data["package"]
    share = {"sequences": 1.0, "held_out_sequences": 1.0}
    if data["text"] is not None:
        if not Path(data["text"]).is_file():
            refuse("data.text", data["text"], "it must be an existing file")
        size, name = Path(data["text"]).stat().st_size, data["text"]
        share = {"sequences": 1 - data["text_held_out"], "held_out_sequences": data["text_held_out"]}
    share |= {"samples": share["sequences"], "held_out": share["held_out_sequences"]}
    held_out = ("data.held_out_sequences", data["held_out_sequences"])
    architectures = config["architectures"]
    for context, *wanted_of in (
        *(
            (config[name]["model"]["context"], (f"{name}.sequences", config[name]["sequences"]), held_out)
            for name in ("landscape", "connectivity")
        ),
        (
            architectures["context"],
            ("architectures.samples", architectures["samples"]),
            ("architectures.held_out", architectures["held_out"]),
        ),
    ):
        window = context + 1
        for key, wanted in wanted_of:
            most = int(size * share[key.split(".")[1]]) // window
            if wanted > most:
                refuse(key, wanted, f"{name} holds at most {most} sequences of {window} tokens")
