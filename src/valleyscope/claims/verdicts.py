"""Cells, claims and verdicts: how a verdict follows from intervals over independent repeats.

A claim is read off one or more judged cells (a σ, a D, an optimiser). A cell has one value a repeat (a seed
or a pair of minima); its 95 % interval lies on the claimed side of the threshold, on the other, or across it.

    reproduced         every cell holds
    not reproduced     every cell fails
    partly             some hold and some fail, whatever the others say
    undecided          some are undecided, the others all hold or all fail
    not testable here  a precondition failed, or more than half of the cells have no interval

Cells without an interval count for neither side. There is no limit on width: a wide interval is undecided.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from valleyscope.errors import InputError
from valleyscope.readings.intervals import Interval, log_interval, student_half_width, student_interval

REPRODUCED, NOT, PARTLY, UNDECIDED = "reproduced", "not reproduced", "partly", "undecided"
UNTESTABLE = "not testable here"
Tables = dict[str, pd.DataFrame]  # by name: results/README.md
MOST_REPEATS = 10_000  # more are not told apart
WORDS = {REPRODUCED: "hold", NOT: "fail", UNDECIDED: "undecided", UNTESTABLE: "not testable"}  # of cells


@dataclass(frozen=True)
class Cell:
    """One place where a claim is judged: a value a repeat, and where it lies if the claim holds.

    `side`: "below" the threshold, "above" it, or "within" it of 0 on both sides. Quantities that are positive
    and scatter by factors take their interval in logarithms (`log`); a repeat at 0 or below has none, and the
    cell's is then taken as it is.
    """

    label: str
    values: np.ndarray
    threshold: float
    side: str
    log: bool = False

    @property
    def logarithmic(self) -> bool:
        """Whether the interval is taken in logarithms: wanted, and every value is above 0."""
        return self.log and bool((np.asarray(self.values, np.float64) > 0).all())

    @property
    def interval(self) -> Interval:
        """Mean, low, high; NaN with fewer than two values or where a repeat has none."""
        values = np.asarray(self.values, np.float64)
        if len(values) < 2 or not np.isfinite(values).all():
            return (np.nan,) * 3
        return log_interval(values) if self.logarithmic else student_interval(values)

    @property
    def verdict(self) -> str:
        """By the whole interval."""
        _, low, high = self.interval
        if np.isnan(low):
            return UNTESTABLE
        t = self.threshold
        holds, fails = {
            "below": (high <= t, low > t),
            "above": (low > t, high <= t),
            "within": (-t <= low and high <= t, low > t or high < -t),
        }[self.side]
        return REPRODUCED if holds else NOT if fails else UNDECIDED

    def repeats_to_decide(self) -> int:
        """Repeats at which the interval would lie on one side, with the mean and spread of those at hand."""
        values, edge = np.asarray(self.values, np.float64), self.threshold
        if self.logarithmic:
            values, edge = np.log(values), np.log(edge)
        mean = abs(values.mean()) if self.side == "within" else values.mean()
        count = np.arange(2, MOST_REPEATS + 1)
        decided = student_half_width(count) * values.std(ddof=1) < abs(mean - edge)
        return int(count[decided.argmax()]) if decided.any() else MOST_REPEATS

    def margin(self) -> float:
        """How far the mean lies on the claimed side, in thresholds; below 0 on the other."""
        mean = self.interval[0] / self.threshold
        return {"below": 1 - mean, "above": mean - 1, "within": 1 - abs(mean)}[self.side]


def judge(cells: list[Cell]) -> tuple[str, Cell | None]:
    """The verdict over the judged cells, and the cell that decides it: the one worst for the claim."""
    told = [cell for cell in cells if cell.verdict != UNTESTABLE]
    worst = min(told or cells, key=Cell.margin, default=None)
    if 2 * len(told) < len(cells) or not told:
        return UNTESTABLE, worst
    verdicts = {cell.verdict for cell in told}
    if {REPRODUCED, NOT} <= verdicts:
        return PARTLY, worst
    return UNDECIDED if UNDECIDED in verdicts else verdicts.pop(), worst


def tally(cells: list[Cell]) -> str:
    """How many of the cells hold, fail, are undecided and not testable, in words; counts of 0 left out."""
    verdicts = [cell.verdict for cell in cells]
    counts = [f"{verdicts.count(verdict)} {word}" for verdict, word in WORDS.items() if verdict in verdicts]
    return ", ".join(counts) or "none"


def wanted(cells: list[Cell]) -> str:
    """How many repeats would decide the undecided cells."""
    most = max(cell.repeats_to_decide() for cell in cells if cell.verdict == UNDECIDED)
    more = " or more" * (most == MOST_REPEATS)
    return f"with the means and spreads seen about {most:,} repeats{more} would decide all cells"


@dataclass(frozen=True)
class Evidence:
    """What a claim's function reads off the tables.

    Attributes:
        cells: those that are judged; those that would be, if a precondition failed.
        control: what would expose a trivial result, with its numbers.
        note: what limits the verdict.
        untestable: why the claim cannot be tested, if a precondition failed.
    """

    cells: list[Cell]
    control: str
    note: str = ""
    untestable: str = ""


@dataclass(frozen=True)
class Claim:
    """One row of the ledger: what is claimed, and the function that reads its evidence off tables.

    The function's arguments say what it needs: tables by position, by keyword the thresholds and windows of
    the configuration. Its docstring says how the evidence is to be read.
    """

    id: str
    source: str
    statement: str
    metric: str
    figure: str  # that shows it
    threshold: str  # of the configuration, by which it is judged; several as words in one string
    read: Callable[..., Evidence]

    @property
    def tables(self) -> list[str]:
        """Names of the tables it is read off."""
        return self._arguments(inspect.Parameter.POSITIONAL_OR_KEYWORD)

    @property
    def limits(self) -> list[str]:
        """Names of the thresholds and windows that it applies."""
        return self._arguments(inspect.Parameter.KEYWORD_ONLY)

    def _arguments(self, kind) -> list[str]:
        return [name for name, p in inspect.signature(self.read).parameters.items() if p.kind is kind]

    def evidence(self, tables: Tables, limits: dict) -> Evidence:
        """Read it off; InputError, in one line, where a table, a column or a threshold is missing."""
        missing = [name for name in self.tables if name not in tables]
        if missing:
            raise InputError(f"claims: the table {missing[0]} is missing; make it, or name it among --tables")
        unknown = [name for name in self.limits if name not in limits]
        if unknown:
            raise InputError(f"claims: {self.id} needs the threshold {unknown[0]}; name it among --limits")
        try:
            return self.read(
                *(tables[name] for name in self.tables), **{name: limits[name] for name in self.limits}
            )
        except KeyError as error:
            raise InputError(f"claims: {self.id} needs {error}, which none of its tables has") from None

    def row(self, tables: Tables, limits: dict) -> dict:
        """The claim's row of claims.csv."""
        evidence = self.evidence(tables, limits)
        verdict, worst = judge(evidence.cells)
        value, low, high = worst.interval if worst else (np.nan,) * 3
        scale = [
            f"{len(worst.values)} values a cell" if worst else "",
            f"of {len(evidence.cells)} cells {tally(evidence.cells)}",
            f"worst: {worst.label}" if worst else "",
            wanted(evidence.cells) if verdict == UNDECIDED and not evidence.untestable else "",
            evidence.note,
            evidence.untestable,
        ]
        return {
            "id": self.id,
            "source": self.source,
            "statement": self.statement,
            "metric": self.metric,
            "value": value,
            "low": low,
            "high": high,
            "threshold": worst.threshold if worst else np.nan,
            "side": worst.side if worst else "above",
            "verdict": UNTESTABLE if evidence.untestable else verdict,
            "cells": len(evidence.cells),
            "held": sum(cell.verdict == REPRODUCED for cell in evidence.cells),
            "control": evidence.control,
            "scale": "; ".join(filter(None, scale)),
            "figure": self.figure,
            "tables": " ".join(sorted(self.tables)),
        }


def claim(id: str, *, source: str, statement: str, metric: str, figure: str, threshold: str) -> Callable:
    """Decorator: the function below it becomes the claim of that ledger line."""

    def decorate(read: Callable[..., Evidence]) -> Claim:
        return Claim(id, source, statement, metric, figure, threshold, read)

    return decorate


def claims_of(module) -> list[Claim]:
    """The claims that a module defines, in the order of its lines."""
    return [value for value in vars(module).values() if isinstance(value, Claim)]
