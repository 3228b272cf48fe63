"""Measure Hessian products, eigensolvers, warm starts and trace estimators against other libraries.

Everything runs in one process on one trained transformer and one batch; calls that are compared take turns.
Times are also given in units of one gradient of the same batch, taken in the same turn.

Example:
    python benchmarks/measure_engine.py --tokens results/corpus/tokens.safetensors --out benchmarks/results
"""

import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import stage.arguments

import curvlinops
import hessian_eigenthings
import numpy as np
import pandas as pd
import pyhessian
import torch
from pyhessian.utils import hessian_vector_product
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from valleyscope.artifacts import load_tensors, write_table
from valleyscope.eigen import top_eigenpairs
from valleyscope.engine.gauss_newton import FisherOperator, GaussNewtonOperator
from valleyscope.engine.memory import keep_freed_memory, peak_allocated
from valleyscope.engine.noise import GradientCovariance
from valleyscope.engine.operators import GRAPH_SHARE
from valleyscope.engine.timing import seconds
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import ModelSettings, Transformer, sequence_losses
from valleyscope.models.tokenizer import draw_sequences
from valleyscope.models.training import TrainingSettings, train
from valleyscope.traces import traces

CPU = torch.device("cpu")
CONTEXT = 64  # tokens a sequence
SEQUENCES = 64  # of the batch
COUNT = 16  # eigenpairs
TOLERANCE = 1e-3
BLOCK = 8  # vectors in a block product
WIDTH = 64  # N = 163,840 at depth 2 and 512 tokens
TRAINING = TrainingSettings(
    epochs=1, batch=8, learning_rate=6e-3, warmup=50, weight_decay=0.01, record_every=512
)


@dataclass(frozen=True)
class Problem:
    """A trained model and its training sequences."""

    model: nn.Module
    data: Tensor

    @property
    def batch(self) -> Tensor:
        return self.data[:SEQUENCES]

    def hessian(self, batch: Tensor | None = None, **options) -> HessianOperator:
        return HessianOperator(self.model, sequence_losses, self.batch if batch is None else batch, **options)

    def gradient(self, batch: Tensor | None = None) -> None:
        loss = sequence_losses(self.model, self.batch if batch is None else batch).mean()
        torch.autograd.grad(loss, list(self.model.parameters()))


def trained(tokens: Path, width: int, sequences: int = 4096) -> Problem:
    """A transformer of this width after one pass over the sequences."""
    splits = load_tensors(tokens, ["train", "held_out"])
    data = draw_sequences(splits["train"], CONTEXT, sequences, 0)
    held_out = draw_sequences(splits["held_out"], CONTEXT, 64, 0)
    settings = ModelSettings(
        vocab_size=512, context=CONTEXT, depth=2, width=width, heads=width // 16, kv_heads=width // 16
    )
    model = Transformer(settings)
    train(model, sequence_losses, data, held_out, TRAINING, seed=0)
    return Problem(model, data)


def logits(model: nn.Module, batch: Tensor) -> Tensor:
    return model(batch[:, :-1])


def mean_token_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs.flatten(0, -2), targets.flatten())


def losses_of(outputs: Tensor, batch: Tensor) -> Tensor:
    losses = nn.functional.cross_entropy(outputs.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
    return losses.view(len(batch), -1).mean(1)


def curvlinops_hessian(problem: Problem) -> curvlinops.HessianLinearOperator:
    inputs, targets = problem.batch[:, :-1], problem.batch[:, 1:].flatten()
    return curvlinops.HessianLinearOperator(
        nn.Sequential(problem.model, nn.Flatten(0, 1)),
        nn.CrossEntropyLoss(),
        list(problem.model.parameters()),
        [(inputs, targets)],
        num_data=targets.numel(),
        batch_size_fn=lambda x: x.numel(),
        check_deterministic=False,
    )


def pyhessian_operator(problem: Problem) -> pyhessian.hessian:
    pair = (problem.batch[:, :-1], problem.batch[:, 1:])
    return pyhessian.hessian(problem.model, mean_token_loss, data=pair, cuda=False)


def eigenthings_operator(problem: Problem) -> hessian_eigenthings.HessianOperator:
    return hessian_eigenthings.HessianOperator(
        problem.model, [problem.batch], lambda m, b: sequence_losses(m, b).mean()
    )


def measure_products(problem: Problem, rounds: int) -> pd.DataFrame:
    """The same before and after this process keeps the memory it frees."""
    default = measure_products_once(problem, rounds).assign(freed_memory="returned")
    keep_freed_memory()
    return pd.concat([default, measure_products_once(problem, rounds).assign(freed_memory="kept")])


def measure_products_once(problem: Problem, rounds: int) -> pd.DataFrame:
    """Seconds, gradients and peak bytes of one product, per vector, by library and way to run."""
    kept = problem.hessian(keep_graph=True)
    planned = problem.hessian()
    # A budget that splits the data into 2, 4 and 8 pieces.
    whole = planned.graph_bytes / GRAPH_SHARE
    split = {pieces: problem.hessian(memory_budget=1.05 * whole / pieces) for pieces in (2, 4, 8)}
    rebuilt = problem.hessian(keep_graph=False, memory_budget=10 * whole)
    gauss_newton = GaussNewtonOperator(problem.model, logits, losses_of, problem.batch)
    fisher = FisherOperator(problem.model, logits, problem.batch)
    noise = GradientCovariance(problem.model, sequence_losses, problem.batch)
    theirs = {
        "curvlinops": curvlinops_hessian(problem),
        "PyHessian": pyhessian_operator(problem),
        "hessian-eigenthings": eigenthings_operator(problem),
    }
    V = torch.randn(kept.size, BLOCK, generator=torch.Generator().manual_seed(0))
    v = V[:, 0].contiguous()
    pieces = [x.view(p.shape) for x, p in zip(v.split([p.numel() for p in theirs["PyHessian"].params]),
                                              theirs["PyHessian"].params, strict=True)]  # fmt: skip

    def pyhessian_product() -> Tensor:
        product = hessian_vector_product(theirs["PyHessian"].gradsH, theirs["PyHessian"].params, pieces)
        return torch.cat([x.flatten() for x in product])

    calls = {  # (library, operator, way) -> (call, vectors, budget in bytes)
        ("torch", "gradient", "one vector"): (problem.gradient, 1, None),
        ("valleyscope", "Hessian", "graph kept"): (lambda: kept.matvec(v), 1, None),
        ("valleyscope", "Hessian", f"graph kept, block of {BLOCK}"): (lambda: kept.matmat(V), BLOCK, None),
        ("valleyscope", "Hessian", "rebuilt"): (lambda: rebuilt.matvec(v), 1, None),
        ("valleyscope", "Hessian", f"rebuilt, block of {BLOCK}"): (lambda: rebuilt.matmat(V), BLOCK, None),
        **{
            ("valleyscope", "Hessian", f"microbatches of {-(-SEQUENCES // -(-SEQUENCES // o.microbatch))}"): (
                lambda o=o: o.matvec(v), 1, 1.05 * whole / n
            )
            for n, o in split.items()
        },
        ("valleyscope", "Gauss-Newton", "graph kept"): (lambda: gauss_newton.matvec(v), 1, None),
        ("valleyscope", "Fisher", "graph kept"): (lambda: fisher.matvec(v), 1, None),
        ("valleyscope", "gradient noise", "scores kept"): (lambda: noise.matvec(v), 1, None),
        ("curvlinops", "Hessian", "one vector"): (lambda: theirs["curvlinops"] @ v, 1, None),
        ("curvlinops", "Hessian", f"block of {BLOCK}"): (lambda: theirs["curvlinops"] @ V, BLOCK, None),
        ("PyHessian", "Hessian", "one vector"): (pyhessian_product, 1, None),
        ("hessian-eigenthings", "Hessian", "one vector"): (
            lambda: theirs["hessian-eigenthings"].matvec(v), 1, None
        ),
    }  # fmt: skip
    truth = kept.matvec(v)
    for name in theirs:
        found = calls[name, "Hessian", "one vector"][0]()
        assert (found - truth).norm() <= 1e-4 * truth.norm(), f"{name} computes something else"
    peaks = {key: peak_allocated(call, CPU) for key, (call, _, _) in calls.items()}
    held = {  # what stays allocated between products; PyHessian's graph is that of the same gradient
        ("valleyscope", "Hessian", "graph kept"): planned.graph_bytes,
        ("valleyscope", "Hessian", f"graph kept, block of {BLOCK}"): planned.graph_bytes,
        ("valleyscope", "Gauss-Newton", "graph kept"): gauss_newton.graph_bytes,
        ("valleyscope", "Fisher", "graph kept"): fisher.graph_bytes,
        ("valleyscope", "gradient noise", "scores kept"): SEQUENCES * noise.size * noise.dtype.itemsize,
        ("PyHessian", "Hessian", "one vector"): planned.graph_bytes,
    }
    rows, order = [], np.random.default_rng(0)
    with stage.arguments.progress(rounds, "products", "round") as bar:
        for turn in range(rounds + 1):
            took = {}
            for index in order.permutation(len(calls)):
                key = list(calls)[index]
                call, vectors, _ = calls[key]
                start = time.perf_counter()
                call()
                took[key] = (time.perf_counter() - start) / vectors
            if turn:  # the first turn warms up
                unit = took["torch", "gradient", "one vector"]
                for key, (_, _, budget) in calls.items():
                    peak = peaks[key] + held.get(key, 0)
                    rows.append((*key, turn, took[key], took[key] / unit, peak, budget))
                bar.update()
    problem.model.zero_grad(set_to_none=True)  # PyHessian leaves its graph there
    columns = ["library", "operator", "way", "round", "seconds", "gradients", "peak_bytes", "budget_bytes"]
    return pd.DataFrame(rows, columns=columns)


def worst_residual(operator: HessianOperator, vectors: Tensor) -> float:
    """Largest ‖Hu − (uᵀHu) u‖ of unit columns, over the largest |uᵀHu|."""
    images = operator.matmat(vectors).double()
    vectors = vectors.double()
    values = (vectors * images).sum(0)
    return ((images - values * vectors).norm(dim=0).max() / values.abs().max()).item()


def counted(operator, count: list[int]) -> LinearOperator:
    """Any `@` operator in float32 for SciPy, counting products."""

    def product(x: np.ndarray) -> np.ndarray:
        count[0] += 1
        return (operator @ torch.from_numpy(np.ascontiguousarray(x.ravel(), dtype=np.float32))).numpy()

    return LinearOperator((operator.shape[0],) * 2, matvec=product, dtype=np.float32)


def scipy_eigenpairs(operator) -> tuple[Tensor, int]:
    count = [0]
    start = torch.randn(operator.shape[0], generator=torch.Generator().manual_seed(0)).numpy()
    _, vectors = eigsh(counted(operator, count), COUNT, which="LA", tol=TOLERANCE, v0=start)
    return torch.from_numpy(np.ascontiguousarray(vectors)), count[0]


def eigenthings_lanczos(problem: Problem, steps: int) -> tuple[Tensor, int]:
    result = hessian_eigenthings.lanczos(
        eigenthings_operator(problem), k=COUNT, max_iter=steps, tol=TOLERANCE, which="LA",
        reorthogonalize=True, seed=0,
    )  # fmt: skip
    return result.eigenvectors.T, result.iterations


def eigenthings_power(problem: Problem) -> tuple[Tensor, int]:
    operator, count = eigenthings_operator(problem), [0]
    single = operator.matvec

    def product(v: Tensor) -> Tensor:
        count[0] += 1
        return single(v)

    operator.matvec = product
    result = hessian_eigenthings.deflated_power_iteration(
        operator, k=COUNT, max_iter=50, tol=TOLERANCE, seed=0
    )
    return result.eigenvectors.T, count[0]


def pyhessian_power(problem: Problem) -> tuple[Tensor, int]:
    torch.manual_seed(0)
    operator, count = pyhessian_operator(problem), [0]

    def product(*arguments):
        count[0] += 1
        return hessian_vector_product(*arguments)

    with patch.object(sys.modules["pyhessian.hessian"], "hessian_vector_product", product):
        _, vectors = operator.eigenvalues(maxIter=50, tol=TOLERANCE, top_n=COUNT)
    problem.model.zero_grad(set_to_none=True)
    flat = [torch.cat([x.flatten() for x in pieces]).detach() for pieces in vectors]
    return torch.stack(flat, dim=1), count[0]


def measure_solvers(problem: Problem, rounds: int) -> pd.DataFrame:
    """Seconds, products and the worst residual of the 16 leading eigenpairs, set-up included."""

    def ours(method: str) -> tuple[Tensor, int]:
        result = top_eigenpairs(problem.hessian(), COUNT, tol=TOLERANCE, method=method)
        return result.vectors, result.matvecs

    check = problem.hessian()
    # The library's own limit does not look at residuals: give it the fewest steps, by tens, that reach them.
    for steps in range(40, 200, 10):
        if worst_residual(check, eigenthings_lanczos(problem, steps)[0]) <= TOLERANCE:
            break
    else:
        raise InputError(f"hessian-eigenthings' Lanczos did not reach {TOLERANCE} in {steps} steps")
    solvers = {  # (library, method) -> (call, rounds)
        ("valleyscope", "Lanczos"): (lambda: ours("lanczos"), rounds),
        ("SciPy", "eigsh on valleyscope's Hessian"): (lambda: scipy_eigenpairs(problem.hessian()), rounds),
        ("SciPy", "eigsh on curvlinops' Hessian"): (
            lambda: scipy_eigenpairs(curvlinops_hessian(problem)), rounds
        ),
        ("hessian-eigenthings", f"Lanczos, {steps} steps"): (
            lambda: eigenthings_lanczos(problem, steps), rounds
        ),
        ("valleyscope", "power iteration, at most 100 steps a pair"): (lambda: ours("power"), 1),
        ("hessian-eigenthings", "power iteration, at most 50 steps a pair"): (
            lambda: eigenthings_power(problem), 1
        ),
        ("PyHessian", "power iteration, at most 50 steps a pair"): (lambda: pyhessian_power(problem), 1),
    }  # fmt: skip
    rows = []
    with stage.arguments.progress(sum(r for _, r in solvers.values()), "solvers", "call") as bar:
        for turn in range(rounds):
            for (library, method), (call, turns) in solvers.items():
                if turn >= turns:
                    continue
                unit = np.median(seconds(problem.gradient, 5))
                start = time.perf_counter()
                vectors, products = call()
                took = time.perf_counter() - start
                residual = worst_residual(check, vectors)
                rows.append((library, method, turn + 1, took, took / unit, products, residual))
                bar.update()
    columns = ["library", "method", "round", "seconds", "gradients", "products", "residual"]
    return pd.DataFrame(rows, columns=columns)


def measure_growth(tokens: Path, problem: Problem, rounds: int) -> pd.DataFrame:
    """A gradient, a product and the leading eigenpairs as N, the sequences and D grow."""
    cases = [("parameters", width, SEQUENCES, COUNT) for width in (32, 64, 128, 192)]
    cases += [("sequences", WIDTH, sequences, COUNT) for sequences in (4, 16, 64, 256)]
    cases += [("pairs", WIDTH, SEQUENCES, count) for count in (1, 4, 16, 45, 64)]
    rows, problems = [], {WIDTH: problem}
    with stage.arguments.progress(len(cases), "growth", "case") as bar:
        for axis, width, sequences, count in cases:
            if width not in problems:
                problems[width] = trained(tokens, width, 1024 if width > WIDTH else 4096)
            one = problems[width]
            batch = one.data[:sequences]
            operator = one.hessian(batch)
            v = torch.randn(operator.size)
            times = {"gradient": [], "product": []}
            for _ in range(rounds):
                times["gradient"] += seconds(lambda one=one, batch=batch: one.gradient(batch), 1)
                times["product"] += seconds(lambda operator=operator, v=v: operator.matvec(v), 1)
            start = time.perf_counter()
            eigen = top_eigenpairs(operator, count, tol=TOLERANCE)
            solve = time.perf_counter() - start
            assert eigen.converged
            unit = np.median(times["gradient"])
            ratio = np.median(np.divide(times["product"], times["gradient"]))
            size = operator.size
            rows.append((axis, size, sequences, count, unit, ratio, solve / unit, eigen.matvecs))
            bar.update()
    columns = ["axis", "parameters", "sequences", "pairs", "gradient_seconds", "product_gradients"]
    return pd.DataFrame(rows, columns=[*columns, "solve_gradients", "products"])


def davidson_products(operator: HessianOperator, initial: Tensor) -> int:
    """Products of a block warm start: Rayleigh-Ritz, then the residuals of the pairs that are not there."""
    V = torch.linalg.qr(initial)[0]
    W = operator.matmat(V)
    while True:
        T = (V.T @ W).double()
        values, Y = torch.linalg.eigh((T + T.T) / 2)
        values, Y = values.flip(0)[:COUNT], Y.flip(1)[:, :COUNT].float()
        residuals = W @ Y - (V @ Y) * values.float()
        norms = residuals.norm(dim=0)
        worst = [i for i in norms.argsort(descending=True)[:2] if norms[i] > TOLERANCE * values[0]]
        if not worst:
            return V.shape[1]
        new = residuals[:, worst]
        for _ in range(2):
            new = torch.linalg.qr(new - V @ (V.T @ new))[0]
        V, W = torch.cat([V, new], 1), torch.cat([W, operator.matmat(new)], 1)


def measure_warm_starts(problem: Problem) -> pd.DataFrame:
    """Products of cold and warm starts along neighbouring k, and how far the old vectors are off."""
    rows, previous = [], None
    sequence = [SEQUENCES, SEQUENCES, *range(SEQUENCES + 1, SEQUENCES + 6)]
    with stage.arguments.progress(len(sequence), "warm starts", "k") as bar:
        for k in sequence:
            operator = problem.hessian(problem.data[:k])
            cold = top_eigenpairs(operator, COUNT, tol=TOLERANCE)
            if previous is not None:
                vectors = previous[1].vectors
                warm = top_eigenpairs(operator, COUNT, tol=TOLERANCE, initial=vectors)
                assert cold.converged
                assert warm.converged
                assert (warm.values - cold.values).abs().max() <= 2 * TOLERANCE * cold.values[0]
                images = operator.matmat(vectors)
                outside = images - vectors @ (vectors.T @ images)
                off = (outside.norm(dim=0) / cold.values[0]).max().item()
                block = davidson_products(operator, vectors)
                rows.append((previous[0], k, cold.matvecs, warm.matvecs, block, off))
            previous = (k, cold)
            bar.update()
    columns = ["k_before", "k", "cold_products", "warm_products", "block_products"]
    columns.append("residual_of_old_vectors")
    return pd.DataFrame(rows, columns=columns)


def measure_traces(problem: Problem, repeats: int, products: int = 48) -> pd.DataFrame:
    """Estimates of Tr H and Tr H² by each estimator at the same number of products, repeated."""
    operator = problem.hessian(problem.data[:16])
    known = top_eigenpairs(operator, COUNT, tol=TOLERANCE)
    rows = []
    with stage.arguments.progress(repeats, "traces", "repeat") as bar:
        for repeat in range(repeats):
            torch.manual_seed(repeat)
            plain = traces(operator, products, seed=repeat)
            rest = traces(operator, products, seed=repeat, known=known)
            estimates = {
                ("Hutchinson", "trace"): plain.trace.mean,
                ("Hutchinson", "square"): plain.square.mean,
                (f"Hutchinson beside {COUNT} eigenpairs", "trace"): rest.trace.mean,
                (f"Hutchinson beside {COUNT} eigenpairs", "square"): rest.square.mean,
                ("Hutch++ (curvlinops)", "trace"): curvlinops.hutchpp_trace(operator, products).item(),
                ("XTrace (curvlinops)", "trace"): curvlinops.xtrace(operator, products).item(),
            }
            for (estimator, quantity), value in estimates.items():
                rows.append((estimator, quantity, repeat, value, products))
            bar.update()
    return pd.DataFrame(rows, columns=["estimator", "quantity", "repeat", "estimate", "products"])


def main(args):
    warnings.filterwarnings("ignore", "Using backward\\(\\) with create_graph=True")
    problem = trained(args.tokens, WIDTH)
    few = args.quick
    if args.only and "products" not in args.only:
        keep_freed_memory()
    tables = {
        "products": lambda: measure_products(problem, 2 if few else 10),
        "solvers": lambda: measure_solvers(problem, 1 if few else 3),
        "growth": lambda: measure_growth(args.tokens, problem, 2 if few else 5),
        "warm_starts": lambda: measure_warm_starts(problem),
        "traces": lambda: measure_traces(problem, 3 if few else 12),
    }
    for name, measure in tables.items():
        if not args.only or name in args.only:
            empty = ["budget_bytes"] if name == "products" else []  # where none is set
            meta = stage.arguments.meta(args, args.tokens)
            write_table(measure(), args.out / f"{name}.csv", meta, may_be_empty=empty)


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.set_defaults(threads=torch.get_num_threads())
    parser.add_argument("--tokens", type=Path, required=True, help="tokens of the corpus")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--only", nargs="+", help="tables to measure; default: all")
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it runs")
    stage.arguments.run(main, parser, keep_memory=False)
