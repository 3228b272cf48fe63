"""What `probe` costs: over the study's own calls on the same model, and in memory at millions of weights.

Example:
    python benchmarks/measure_probe.py --tokens results/corpus/tokens.safetensors --out benchmarks/results
"""

import resource
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import stage.arguments

from valleyscope import probe
from valleyscope.artifacts import load_tensors, write_table
from valleyscope.criteria import standard_normals
from valleyscope.eigen import top_eigenpairs
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.estimators import candidate_models
from valleyscope.landscape.increments import direct_increments
from valleyscope.landscape.spaces import full_space_draws
from valleyscope.models.model import ModelSettings, Transformer, sequence_losses
from valleyscope.models.tokenizer import draw_sequences

SMALL = ModelSettings(
    vocab_size=512, context=32, depth=2, width=32, heads=2, kv_heads=2
)  # of configs/default
LARGE = ModelSettings(vocab_size=512, context=32, depth=8, width=512, heads=8, kv_heads=8)
GRID = {"k": 64, "dims": [1, 4, 16], "sigmas": [1e-4, 1e-3, 1e-2], "samples": 24, "seed": 0}
REPEATS = 7


def study_s_own(model, data) -> None:
    """The calls of the stages find_eigenpairs and estimate_criteria, for the single next sequence."""
    k, dims, samples, seed = GRID["k"], GRID["dims"], GRID["samples"], GRID["seed"]
    operator = HessianOperator(model, sequence_losses, data[:k])
    eigen = top_eigenpairs(operator, max(dims), seed=seed)
    draws = full_space_draws(operator.size, samples, seed)
    one = candidate_models(model, sequence_losses, operator, eigen, data[k : k + 1], draws, samples)[0]
    for sigma in GRID["sigmas"]:
        for dim in dims:
            one.subspace.leading(dim).gaussian_moment(sigma)
        one.full.gaussian_moment(sigma)
        normals = torch.as_tensor(standard_normals(samples, max(dims), seed))
        for u in (sigma * normals @ eigen.vectors.double().T, sigma * draws):
            direct_increments(model, sequence_losses, data[:k], data[k : k + 1], u)


def measure_overhead(tokens: Path) -> pd.DataFrame:
    """Seconds of both, in turn: a row a repeat and way."""
    data = draw_sequences(load_tensors(tokens, ["train"])["train"], SMALL.context, GRID["k"] + 1, seed=0)
    model = Transformer(SMALL, seed=0)
    ways = {
        "probe": lambda: probe(model, sequence_losses, data, **GRID),
        "study": lambda: study_s_own(model, data),
    }
    rows = []
    for repeat in range(-1, REPEATS):  # the first is not counted
        for way, call in ways.items():
            start = time.perf_counter()
            call()
            if repeat >= 0:
                rows.append({"way": way, "repeat": repeat, "seconds": time.perf_counter() - start})
    return pd.DataFrame(rows)


def measure_memory() -> pd.DataFrame:
    """One probe of a large model in this process: its peak and its time."""
    model = Transformer(LARGE, seed=0)
    with torch.no_grad():
        for p in model.parameters():  # outputs of blocks start at zero, which would leave most of H empty
            p.normal_(std=0.02, generator=torch.Generator().manual_seed(p.numel()))
    data = torch.randint(512, (9, 33), generator=torch.Generator().manual_seed(0))
    start = time.perf_counter()
    result = probe(model, sequence_losses, data, k=8, dims=[16], sigmas=[1e-3], samples=8, tol=1e-2)
    row = {
        "size": result.size,
        "dim": 16,
        "k": 8,
        "samples": 8,
        "products": result.eigen.matvecs,
        "seconds": time.perf_counter() - start,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    return pd.DataFrame([row])


def main(args):
    meta = stage.arguments.meta(args, args.tokens)
    if args.only_memory:
        write_table(measure_memory(), args.out / "probe_memory.csv", meta)
        return
    write_table(measure_overhead(args.tokens), args.out / "probe_overhead.csv", meta)
    # A process of its own: the peak is that of its whole life.
    subprocess.run([sys.executable, *sys.argv, "--only-memory"], check=True)


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--tokens", type=Path, required=True, help="tokens of the study")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--only-memory", action="store_true", help="one probe of a large model, no more")
    stage.arguments.run(main, parser)
