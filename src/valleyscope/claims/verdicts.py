"""Cells and claims: how a verdict follows from intervals over independent repeats.

A claim is read off one or more cells (a σ, a D, an optimiser). A cell has one value a repeat (a seed or a
pair of minima); its 95 % interval lies on the claimed side of the threshold, on the other, or across it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from valleyscope.errors import InputError
from valleyscope.readings.intervals import student_interval

REPRODUCED, PARTLY, NOT, UNTESTABLE = "reproduced", "partly", "not reproduced", "not testable here"
Tables = dict[str, pd.DataFrame]  # by name: results/README.md


@dataclass(frozen=True)
class Cell:
    """One place where a claim is tested: a value a repeat, and where it lies if the claim holds.

    `side`: "below" the threshold, "above" it, or "within" it of 0 on both sides. Ratios take their interval
    in logarithms (`log`), so that a ratio and its inverse are treated alike.
    """

    label: str
    values: np.ndarray
    threshold: float
    side: str
    log: bool = False

    @property
    def interval(self) -> tuple[float, float, float]:
        """Mean, low, high; NaN with fewer than two values."""
        if len(self.values) < 2:
            return (np.nan,) * 3
        return log_interval(self.values) if self.log else student_interval(self.values)

    def verdict(self, widest: float) -> str:
        """By the interval; one across the threshold and wider than `widest` thresholds tests nothing."""
        _, low, high = self.interval
        if not np.isfinite([low, high]).all():
            return UNTESTABLE
        t = self.threshold
        holds, fails = {
            "below": (high <= t, low >= t),
            "above": (low > t, high <= t),
            "within": (-t <= low and high <= t, low > t or high < -t),
        }[self.side]
        if holds or fails:
            return REPRODUCED if holds else NOT
        return UNTESTABLE if high - low > widest * t else PARTLY

    def margin(self) -> float:
        """How far the mean lies on the claimed side, in thresholds; below 0 on the other."""
        mean = self.interval[0] / self.threshold
        return {"below": 1 - mean, "above": mean - 1, "within": 1 - abs(mean)}[self.side]


def log_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Geometric mean and 95 % interval of values above 0; NaN if one is not."""
    values = np.asarray(values, np.float64)
    if not (values > 0).all():  # False for NaN
        return (np.nan,) * 3
    return tuple(np.exp(student_interval(np.log(values))))


def judge(cells: list[Cell], widest: float) -> tuple[str, Cell]:
    """The verdict over all cells, and the cell that decides it: the one worst for the claim.

    Cells that test nothing leave "not reproduced" as it is, where all others say so: none of them holds.
    """
    verdicts = {cell.verdict(widest) for cell in cells}
    if verdicts == {NOT, UNTESTABLE}:
        verdicts = {NOT}
    verdict = verdicts.pop() if len(verdicts) == 1 else PARTLY
    finite = [cell for cell in cells if np.isfinite(cell.interval).all()]
    return verdict, min(finite or cells, key=Cell.margin)


def text(values, digits: int = 3, log: bool = False) -> str:
    """ "mean [low, high]" of the finite values (log: those above 0, geometric), and how many if not all."""
    every = np.asarray(values, np.float64)
    values = every[np.isfinite(every)]
    if log:
        values = values[values > 0]
    if len(values) < 2:
        return "not measured"
    mean, low, high = log_interval(values) if log else student_interval(values)
    some = f" ({len(values)} of {len(every)} repeats)" if len(values) < len(every) else ""
    return f"{mean:.{digits}g} [{low:.{digits}g}, {high:.{digits}g}]{some}"


def tally(cells: list[Cell], widest: float) -> str:
    """How many of the cells hold, fail, are undecided and test nothing, in words; counts of 0 left out."""
    verdicts = [cell.verdict(widest) for cell in cells]
    words = {REPRODUCED: "hold", NOT: "fail", PARTLY: "undecided", UNTESTABLE: "not testable"}
    counts = [f"{verdicts.count(verdict)} {word}" for verdict, word in words.items() if verdict in verdicts]
    return ", ".join(counts)


@dataclass(frozen=True)
class Claim:
    """One row of the ledger: what is claimed, and how its cells and its control are read off the tables."""

    id: str
    source: str
    statement: str
    metric: str
    figure: str  # that shows it; empty if none does
    read: Callable[[Tables, dict], tuple[list[Cell], str]]
    precondition: Callable[[Tables, dict], str | None] = lambda tables, limits: None
    note: Callable[[Tables], str] = lambda tables: ""  # what limits the verdict

    def row(self, tables: Tables, limits: dict[str, float]) -> dict:
        """The claim's row of claims.csv."""
        seen = _Seen(tables)
        try:
            cells, control = self.read(seen, limits)
            reason, note = self.precondition(seen, limits), self.note(seen)
        except KeyError as error:
            raise InputError(f"claims: {self.id} needs {error}, which none of its tables has") from None
        verdict, worst = judge(cells, limits["widest"])
        held = sum(cell.verdict(limits["widest"]) == REPRODUCED for cell in cells)
        value, low, high = worst.interval
        scale = [
            f"{len(worst.values)} values a cell",
            f"of {len(cells)} cells {tally(cells, limits['widest'])}",
            f"worst: {worst.label}",
            note,
            reason or "",
        ]
        return {
            "id": self.id,
            "source": self.source,
            "statement": self.statement,
            "metric": self.metric,
            "value": value,
            "low": low,
            "high": high,
            "threshold": worst.threshold,
            "side": worst.side,
            "verdict": UNTESTABLE if reason else verdict,
            "cells": len(cells),
            "held": held,
            "control": control,
            "scale": "; ".join(filter(None, scale)),
            "figure": self.figure,
            "tables": " ".join(sorted(seen.names)) or "none",
        }


class _Seen(dict):
    """Tables that remember which of them were read."""

    def __init__(self, tables: Tables):
        super().__init__(tables)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self:
            raise InputError(f"claims: the table {name} is missing; make it, or name it among --tables")
        self.names.add(name)
        return super().__getitem__(name)
