"""What a gradient and a product cost a parameter and token, over model sizes, sequence lengths and batches.

One thread, as the stages run. Every cell takes turns with a matrix product of two 1,024 x 1,024 matrices,
which is what the processor can do; operations are counted by torch.

Example:
    python benchmarks/measure_grid.py --out benchmarks/results/grid.csv
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import stage.arguments

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from valleyscope.artifacts import write_table
from valleyscope.engine.weights import flat_weights, replica_gradients
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import ModelSettings, Transformer, sequence_losses

SIZES = [(2, 32), (2, 64), (2, 128), (4, 192), (6, 384)]  # depth and width
LENGTHS = [16, 32, 64, 128]  # tokens a sequence
BATCHES = [1, 8, 32]  # sequences a gradient
QUICK = {"sizes": SIZES[:1], "lengths": LENGTHS[:2], "batches": BATCHES[:2]}
FULL = {"sizes": SIZES, "lengths": LENGTHS, "batches": BATCHES}
VOCABULARY = 512
LONGEST = 5e11  # operations of a gradient: a larger cell is left out
SQUARE = 1024  # side of the matrices whose product is the processor's rate


@dataclass(frozen=True)
class Cell:
    """A model and a batch."""

    depth: int
    width: int
    tokens: int  # a sequence
    sequences: int

    def model(self) -> Transformer:
        heads = max(2, self.width // 128)
        return Transformer(
            ModelSettings(VOCABULARY, self.tokens, self.depth, self.width, heads=heads, kv_heads=heads)
        )


def calls(cell: Cell, model: Transformer) -> dict[str, Callable[[], object]]:
    """A gradient, and a product whose graph is kept, of the cell's batch."""
    generator = torch.Generator().manual_seed(0)
    data = torch.randint(VOCABULARY, (cell.sequences, cell.tokens + 1), generator=generator)
    gradient = replica_gradients(model, sequence_losses)
    weights = flat_weights(model)
    operator = HessianOperator(model, sequence_losses, data)
    v = torch.randn(operator.size, generator=generator)
    return {"gradient": lambda: gradient(weights[None], data[None]), "product": lambda: operator.matvec(v)}


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call, the least of five or of what fits a second."""
    call()
    best, end = float("inf"), time.perf_counter() + 1
    for _ in range(5):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() > end:
            break
    return best


def measure(cell: Cell) -> list[dict]:
    """Rows of a cell, none if it is too large."""
    model = cell.model()
    size = sum(p.numel() for p in model.parameters())
    if 6 * size * cell.tokens * cell.sequences > LONGEST:
        return []
    matrices = torch.randn(2, SQUARE, SQUARE)
    rows = []
    for operation, call in calls(cell, model).items():
        with FlopCounterMode(display=False) as counter:
            call()
        peak = 2 * SQUARE**3 / timed(lambda: matrices[0] @ matrices[1])
        seconds = timed(call)
        rows.append(
            {
                "parameters": size,
                "depth": cell.depth,
                "width": cell.width,
                "tokens": cell.tokens,
                "sequences": cell.sequences,
                "operation": operation,
                "seconds": seconds,
                "nanoseconds": 1e9 * seconds / (size * cell.tokens * cell.sequences),
                "gigaflops": counter.get_total_flops() / seconds / 1e9,
                "gigaflops_possible": peak / 1e9,
            }
        )
    return rows


def main(args):
    grid = QUICK if args.quick else FULL
    cells = [
        Cell(depth, width, tokens, sequences)
        for depth, width in grid["sizes"]
        for tokens in grid["lengths"]
        for sequences in grid["batches"]
    ]
    rows = []
    with stage.arguments.progress(len(cells), "grid", "cell") as bar:
        for cell in cells:
            rows += measure(cell)
            bar.update()
    write_table(pd.DataFrame(rows), args.out, stage.arguments.meta(args))


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    stage.arguments.add_files(parser, out="CSV, a row a cell and operation")
    parser.add_argument("--quick", action="store_true", help="a few cells, to see that it runs")
    stage.arguments.run(main, parser)
