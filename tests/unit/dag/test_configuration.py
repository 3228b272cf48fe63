import copy
import datetime
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from dag.configuration import Kind, check_config, kinds
from valleyscope.errors import InputError
from valleyscope.models.architectures import KINDS

SCHEMA = Path("configs/schema.yaml")
DEFAULT = yaml.safe_load(Path("configs/default.yaml").read_text())


def merged(name):
    config = copy.deepcopy(DEFAULT)
    update_config(config, yaml.safe_load(Path(f"configs/{name}.yaml").read_text()))
    return config


@pytest.mark.parametrize("name", ["default", "smoke", "d6"])
def test_committed_configurations_are_valid(name):
    check_config(merged(name), SCHEMA)


def test_kinds_are_those_of_the_library():
    rows = {name: Kind(row.task, row.needs.split(), row.takes.split()) for name, row in KINDS.items()}
    assert kinds() == rows


def test_every_key_has_a_description():
    def walk(schema, key):
        for name, sub in schema.get("properties", {}).items():
            target = sub.get("$ref")
            described = "description" in sub or "enum" in sub
            if target:
                definition = full["$defs"][target.rsplit("/", 1)[1]]
                described = described or "description" in definition
                walk(definition, f"{key}.{name}")
            assert described, f"{key}.{name}"
            walk(sub, f"{key}.{name}")

    full = yaml.safe_load(SCHEMA.read_text())
    walk(full, "")


def changed(key, value):
    config = copy.deepcopy(DEFAULT)
    *parents, last = key.split(".")
    section = config
    for parent in parents:
        section = section[parent]
    section[last] = value
    return config


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("landscape.sigma", [0.1], r"landscape\.sigma: unknown key; did you mean sigmas\?"),
        ("lanscape", {}, r"lanscape: unknown key; did you mean landscape\?"),
        ("landscape.sigmas", [0.1, -0.1], r"landscape\.sigmas\[1\]: -0\.1 is not allowed; it must be > 0"),
        ("landscape.tolerance", "1e-3", r"landscape\.tolerance: \"1e-3\" .*write 1\.0e-3"),
        (
            "landscape.trajectory.k",
            [8192],
            r"landscape\.trajectory\.k: 8192 .*k \+ 1 must be at most .* = 6144",
        ),
        ("landscape.trajectory.k", [16, 35], r"landscape\.trajectory\.k: 35 .*multiple of .*batch = 2"),
        ("landscape.timing.k", [10**9], r"landscape\.timing\.k: 1000000000 "),
        ("landscape.dims", [1, 60_000], r"landscape\.dims: 60000 .*N = 57344"),
        ("landscape.focus.eigenpairs", 60_000, r"landscape\.focus\.eigenpairs: 60000 .*N = 57344"),
        ("landscape.focus.eigenpairs", 15, r"landscape\.focus\.expansion\.dims: 16 .*eigenpairs = 15"),
        ("landscape.focus.k", 17, r"landscape\.focus\.k: 17 .*one of minimisers\.k"),
        ("landscape.focus.geometry.points", 8, r"landscape\.focus\.geometry\.points: 8 .*odd"),
        ("landscape.focus.validity_limit", 1.5, r"landscape\.focus\.validity_limit: 1\.5 .*< 1"),
        ("landscape.minimisers.centre_from", 128, r"landscape\.minimisers\.centre_from: 128 .*beyond"),
        ("landscape.candidate_draws", 17, r"landscape\.candidate_draws: 17 .*samples = 16"),
        ("landscape.spectrum.k", [24], r"landscape\.spectrum\.k: 24 .*k and 2k"),
        ("landscape.spectrum.dims", [17], r"landscape\.spectrum\.dims: 17 .*landscape\.dims"),
        (
            "landscape.trajectory.narrow_dims",
            [2],
            r"landscape\.trajectory\.narrow_dims: \[2\] .*landscape\.dims",
        ),
        ("landscape.trajectory.wide_until", 128, r"landscape\.trajectory\.wide_until: 128 .*twice"),
        ("landscape.samples", 1, r"landscape\.samples: 1 .*>= 2"),
        ("claims.rate", 0, r"claims\.rate: 0 .*> 0"),
        ("claims.ratios", 0.1, r"claims\.ratios: unknown key; did you mean ratio\?"),
        ("landscape.seeds", [1, 1], r"landscape\.seeds: .*entries must differ"),
        ("landscape.seeds", [1], r"landscape\.seeds: .*at least 2 entries"),
        ("landscape.model.width", 30, r"landscape\.model\.width: 30 .*2 x heads = 4"),
        ("landscape.model.heads", 0, r"landscape\.model\.heads: 0 .*>= 1"),
        ("connectivity.model.kv_heads", 3, r"connectivity\.model\.kv_heads: 3 .*divisor"),
        (
            "connectivity.training.adamw.batch",
            129,
            r"connectivity\.training\.adamw\.batch: 129 .*sequences = 64",
        ),
        ("connectivity.training.sgd.optimiser", "adagrad", r"connectivity\..*optimiser: .*one of"),
        ("connectivity.dynamics.runs.free.starts", [0.5, 1.5], r"connectivity\..*starts\[1\]: 1\.5 .*<= 1"),
        (
            "connectivity.dynamics.runs.adam.sgd.steps",
            31,
            r"connectivity\.dynamics\.runs\.adam\.sgd\.steps: 31 .*multiple of period = 15",
        ),
        ("connectivity.averages.sgd.steps", 31, r"connectivity\.averages\.sgd\.steps: 31 .*multiple"),
        ("connectivity.descent.learning_rates", [0.1], r"connectivity\.descent\.learning_rates: .*6"),
        ("connectivity.kinds.sgd", ["bezier"], r"connectivity\.kinds\.sgd: .*autoneb must be"),
        ("connectivity.drift.followed", 49, r"connectivity\.drift\.followed: 49 .*replicas = 48"),
        ("connectivity.criteria.dims", [9], r"connectivity\.criteria\.dims: 9 .*eigenpairs = 8"),
        ("connectivity.branching.parents", [1, 2], r"connectivity\.branching\.parents: .*one seed for each"),
        ("connectivity.branching.settings.branches", [50, 0], r"connectivity\..*branches: .*ascend"),
        ("connectivity.branching.settings.branches", [0, 300], r"connectivity\..*branches: .*below steps"),
        ("connectivity.pairs", [[0, 1], [2]], r"connectivity\.pairs\[1\]: \[2\] .*at least 2"),
        ("connectivity.pairs", [[0, 1], [1, 2]], r"connectivity\.pairs: .*seed 1 stands in two pairs"),
        ("connectivity.profile.points", 6, r"connectivity\.profile\.points: 6 .*odd"),
        (
            "architectures.models.GRU.kind",
            "no_such",
            r"architectures\.models\.GRU\.kind: \"no_such\" .*one of transformer",
        ),
        (
            "architectures.models.GELU.settings.activation",
            "tanh",
            r"architectures\.models\.GELU\.settings\.activation: \"tanh\" .*one of",
        ),
        (
            "architectures.models.MLP.settings",
            {"width": 64},
            r"architectures\.models\.MLP\.settings: .*depth is missing",
        ),
        (
            "architectures.models.GELU.settings",
            {"depth": 1, "width": 32, "heads": 2, "kv_heads": 2},
            r"architectures\.models\.GELU\.settings: .*mlp_ratio is missing",
        ),
        (
            "architectures.models.GELU.settings.heads",
            3,
            r"architectures\.models\.GELU\.settings\.width: 32 .*2 x heads = 6",
        ),
        (
            "architectures.models.LayerNorm.settings.kv_heads",
            3,
            r"architectures\.models\.LayerNorm\.settings\.kv_heads: 3 .*divisor of heads = 2",
        ),
        (
            "architectures.models.CNN.settings.depth",
            2,
            r"architectures\.models\.CNN\.settings: .*a model of kind cnn takes no depth",
        ),
        (
            "architectures.models.GRU.settings.vocab_size",
            64,
            r"architectures\.models\.GRU\.settings: .*a model of kind recurrent takes no vocab_size",
        ),
        ("architectures.context", 100_000, r"architectures\.samples: 256 .*holds at most 53 sequences"),
        ("architectures.samples", 1542, r"architectures\.samples: 1542 .*1797 - held_out = 1541"),
        ("architectures.held_out", 1600, r"architectures\.samples: 256 .*1797 - held_out = 197"),
        ("architectures.study.k", [64, 256], r"architectures\.study\.k: 256 .*k \+ 1 .*samples = 256"),
        ("architectures.study.k", [64, 65], r"architectures\.study\.k: 65 .*training\.text\.batch = 2"),
        (
            "architectures.training.digits.batch",
            32,
            r"architectures\.study\.k: 16 .*training\.digits\.batch = 32",
        ),
        (
            "architectures.study.validity.k",
            48,
            r"architectures\.study\.validity\.k: 48 .*study\.k = \[16, 64, 128\]",
        ),
        ("architectures.study.candidates", 257, r"architectures\.study\.candidates: 257 .*at most 256"),
        ("architectures.study.candidate_draws", 7, r"architectures\.study\.candidate_draws: 7 .*at most 6"),
        ("architectures.study.candidate_draws", 2, r"architectures\.study\.candidate_draws: 2 .*>= 3"),
        ("architectures.paths.models", ["MLP", "VGG"], r"architectures\.paths\.models: \"VGG\" .*MLP, CNN"),
        ("architectures.paths.samples", 1542, r"architectures\.paths\.samples: 1542 .*= 1541"),
        (
            "architectures.paths.training.batch",
            257,
            r"architectures\.paths\.training\.batch: 257 .*at most .*= 256",
        ),
        (
            "architectures.paths.pairs",
            [[0, 1], [1, 2]],
            r"architectures\.paths\.pairs: .*seed 1 stands in two",
        ),
        (
            "architectures.paths.descent.batches",
            [16],
            r"architectures\.paths\.descent\.batches: .*6 as steps",
        ),
        ("architectures.paths.profile.positions", 8, r"architectures\.paths\.profile\.positions: 8 .*odd"),
        ("architectures.seeds", [1], r"architectures\.seeds: .*at least 2 entries"),
        ("landscape.sigmas", [float("nan")], r"landscape\.sigmas\[0\]: NaN .*finite number"),
        ("landscape.tolerance", float("inf"), r"landscape\.tolerance: Infinity .*finite number"),
        ("landscape.trajectory.k", [16.0], r"landscape\.trajectory\.k\[0\]: 16\.0 .*type integer"),
        ("landscape.seeds", [True, 1], r"landscape\.seeds\[0\]: true .*type integer"),
        ("landscape.sequences", 10**8, r"landscape\.sequences: 100000000 .*holds at most"),
        ("data.held_out_sequences", 10**8, r"data\.held_out_sequences: 100000000 .*holds at most"),
        ("data.text", datetime.date(2020, 1, 1), r"data\.text: \"2020-01-01\" .*type string"),
        ("data.package", "--pre==1", r"data\.package: \"--pre==1\" "),
        ("output.results", "results/reference", r"output\.results: \"results/reference\" "),
        ("output.results", "../elsewhere", r"output\.results: \"\.\./elsewhere\" "),
        ("output.results", "/tmp/x", r"output\.results: \"/tmp/x\" "),
        ("data.sha256", "abc", r"data\.sha256: \"abc\" "),
        ("data.text", "no/such/file.txt", r"data\.text: .*existing file"),
        ("data.vocab_size", "many", r"data\.vocab_size: \"many\" .*type integer"),
        ("device", "tpu", r"device: \"tpu\" .*one of \['cpu', 'cuda'\]"),
    ],
)
def test_a_wrong_value_gives_one_line_with_key_value_and_what_is_allowed(key, value, expected):
    with pytest.raises(InputError, match=r"^config: " + expected) as caught:
        check_config(changed(key, value), SCHEMA)
    assert "\n" not in str(caught.value)


def test_a_key_that_is_no_text_is_refused():
    config = copy.deepcopy(DEFAULT)
    config["landscape"][True] = 1
    with pytest.raises(InputError, match=r"landscape\.True: true is not allowed; a key must be text"):
        check_config(config, SCHEMA)


def test_a_missing_key_is_named():
    config = copy.deepcopy(DEFAULT)
    del config["landscape"]["samples"]
    with pytest.raises(InputError, match="landscape: key samples is missing"):
        check_config(config, SCHEMA)


def test_a_text_too_short_for_the_run_is_refused(tmp_path):
    (tmp_path / "short.txt").write_text("too short\n" * 100)
    with pytest.raises(InputError, match=r"landscape\.sequences: 6144 .*holds at most 52 sequences"):
        check_config(changed("data.text", str(tmp_path / "short.txt")), SCHEMA)
