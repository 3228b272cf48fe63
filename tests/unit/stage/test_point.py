"""Stages at points: what each point is told, one table a regime, and what a killed call goes on with."""

import json

import stage.arguments
import stage.point
from stage.pieces import Pieces

import pandas as pd
import pytest
import torch

from valleyscope.artifacts import load_tensors, read_table, save_tensors, sidecar
from valleyscope.errors import InputError
from valleyscope.models.model import ModelSettings, Transformer, sequence_losses

SIZE = {"vocab_size": 16, "context": 4, "depth": 1, "width": 4, "heads": 1, "kv_heads": 1}
POINTS = [("first", 2), ("first", 5), ("second", 3)]


@pytest.fixture
def call(tmp_path):
    """A function of changes to the options: the arguments of a stage at three points, in two regimes."""
    tokens = {split: torch.randint(16, (400,), dtype=torch.int32) for split in ("train", "held_out")}
    save_tensors(tokens, tmp_path / "tokens.safetensors", {})
    for seed, (regime, k) in enumerate(POINTS):
        weights = Transformer(ModelSettings(**SIZE), seed).state_dict()
        save_tensors(weights, tmp_path / f"{regime}_{k}.safetensors", {})
    parser = stage.point.parser("A stage.", count=int)
    stage.point.add_files(parser, out="a file of a point's own")
    stage.point.add_tables(parser, table="a row a point")
    rows = [{"regime": regime, "k": k, "count": 10 * k} for regime, k in POINTS]

    def parsed(**changes):
        options = {
            "model": [json.dumps(SIZE)],
            "tokens": [tmp_path / "tokens.safetensors"],
            "sequences": [8],
            "data_seed": [3],
            "held_out_sequences": [2],
            "at": [json.dumps(rows)],
            "checkpoint": [tmp_path / f"{regime}_{k}.safetensors" for regime, k in POINTS],
            "out": [tmp_path / f"out/{regime}_{k}" for regime, k in POINTS],
            "table": [tmp_path / "out/first.csv", tmp_path / "out/second.csv"],
        } | changes
        words = [w for name, values in options.items() for w in (f"--{name.replace('_', '-')}", *values)]
        return parser.parse_args(list(map(str, words)))

    return parsed


def measured(args, calls: list, stop_at: int | None = None):
    """The stage: the loss at each point in a table, and in a file of its own."""

    def at_point(own, point):
        if own.k == stop_at:
            raise KeyboardInterrupt
        calls.append(own.k)
        assert len(point.known) == point.k == own.k
        save_tensors({"loss": point.operator.losses}, own.out, {})
        return {"table": pd.DataFrame([{"loss": point.operator.loss, "count": own.count}])}

    stage.point.measure(args, ["table"], at_point, files=["out"])


def test_each_point_has_its_own_weights_sequences_and_settings(call):
    args = call()
    measured(args, [])
    model = ModelSettings(**SIZE)
    data, _ = stage.problem.sequences(args.tokens, model.context, (8, 2), 3, "cpu")
    for regime, path in zip(("first", "second"), args.table, strict=True):
        table = read_table(path, [])
        assert list(table) == ["regime", "seed", "k", "loss", "count"]
        assert list(table["k"]) == [k for of, k in POINTS if of == regime]
        assert list(table["count"]) == [10 * k for k in table["k"]]
        assert set(table["regime"]) == {regime}
        assert set(table["seed"]) == {3}
        for row in table.itertuples():
            with torch.no_grad():
                losses = sequence_losses(Transformer(model, POINTS.index((regime, row.k))), data[: row.k])
            assert row.loss == pytest.approx(losses.double().mean().item())
    for (_, k), path in zip(POINTS, args.out, strict=True):
        assert len(load_tensors(path, ["loss"])["loss"]) == k


def test_a_stopped_call_leaves_no_output_and_goes_on_at_the_point_where_it_was(call, tmp_path):
    args, calls = call(), []
    measured(args, [])
    files = [*args.table, *args.out]
    whole = [path.read_bytes() for path in files]
    for path in (*files, *map(sidecar, files)):
        path.unlink()
    with pytest.raises(KeyboardInterrupt):
        measured(args, calls, stop_at=3)
    assert calls == [2, 5]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pieces_first.csv"]
    measured(args, calls)
    assert calls == [2, 5, 3]
    assert [path.read_bytes() for path in files] == whole
    assert not (tmp_path / "out/pieces_first.csv").exists()


def test_a_call_stopped_among_its_last_files_brings_all_of_them_the_next_time(call, monkeypatch):
    args, calls = call(), []
    deliver, brought = Pieces.deliver, []

    def stopped(pieces, out):
        if brought:
            raise KeyboardInterrupt
        brought.append(out)
        deliver(pieces, out)

    monkeypatch.setattr(Pieces, "deliver", stopped)
    with pytest.raises(KeyboardInterrupt):
        measured(args, calls)
    monkeypatch.setattr(Pieces, "deliver", deliver)
    brought[0].unlink()  # as Snakemake does with what a failed job has made
    measured(args, calls)
    assert calls == [2, 5, 3]
    assert all(path.is_file() for path in args.out)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"checkpoint": ["w"]}, "--checkpoint names 1 files for 3 points; give one for each"),
        ({"out": ["a", "b"]}, "--out names 2 files for 3 points"),
        ({"table": ["a"]}, "--table names 1 files for 2 regimes"),
    ],
)
def test_a_wrong_number_of_files_is_refused(call, changes, said, tmp_path):
    existing = {name: [tmp_path / "first_2.safetensors"] * len(files) for name, files in changes.items()}
    with pytest.raises(InputError, match=said):
        measured(call(**existing), [])


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "[1]", "[" * 100_000),
        '[{"regime": "a", "k": 1}]',
        '[{"regime": "a", "k": 1.5, "count": 1}]',
        '[{"regime": "a", "k": 1, "count": 1, "dims": [1]}]',
    ],
    ids=range(8),
)
def test_points_that_do_not_say_what_is_wanted_are_refused_in_one_line(call, text, capsys):
    with pytest.raises(SystemExit) as stop:
        call(at=[text])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "argument --at: not " in said
    assert said.count("\n") == 1
