"""Measure Hessian products, eigensolvers, warm starts and trace estimators against other libraries.

Everything runs in one process on one trained transformer and one batch; calls that are compared take turns.
Times are also given in units of one gradient of the same batch, taken in the same turn. Folders of newer
sources of the other libraries are measured beside their installed versions.

Example:
    python benchmarks/measure_engine.py --tokens results/corpus/tokens.safetensors --out benchmarks/results
    … --only products --sources ../curvlinops ../pytorch-hessian-eigenthings
"""

import functools
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import stage.arguments

import numpy as np
import pandas as pd
import peers
import torch
from peers import Peer
from torch import Tensor, nn
from torch._inductor.utils import fresh_cache

from valleyscope.artifacts import load_tensors, write_table
from valleyscope.eigen import top_eigenpairs
from valleyscope.engine.compiled import compiled_gradients
from valleyscope.engine.gauss_newton import FisherOperator, GaussNewtonOperator
from valleyscope.engine.memory import keep_freed_memory, peak_allocated
from valleyscope.engine.noise import GradientCovariance
from valleyscope.engine.operators import GRAPH_SHARE
from valleyscope.engine.timing import seconds
from valleyscope.engine.weights import TOGETHER, flat_weights, replica_gradients
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
STUDY = ModelSettings(vocab_size=512, context=16, depth=2, width=32, heads=2, kv_heads=2)  # its replicas
STUDY_BATCH = 8  # sequences of a replica's step
EMPTY = ["budget_bytes", "compile_cold", "compile_warm", "error"]  # of products, where there is none
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

    def compiled_gradient(self) -> Callable[[], object]:
        mean_loss = torch.compile(
            lambda b: sequence_losses(self.model, b).mean(), fullgraph=True, dynamic=False
        )
        return lambda: torch.autograd.grad(mean_loss(self.batch), list(self.model.parameters()))


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


def losses_of(outputs: Tensor, batch: Tensor) -> Tensor:
    losses = nn.functional.cross_entropy(outputs.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
    return losses.view(len(batch), -1).mean(1)


@dataclass(frozen=True)
class Way:
    """One way to multiply with a curvature matrix; `make` sets it up and returns the call that is timed."""

    library: str
    operator: str
    name: str
    make: Callable[[], Callable[[], object]]
    vectors: int = 1
    budget: float | None = None  # bytes
    held: int = 0  # bytes that stay between products
    exact: bool = True  # False: its error may exceed rounding
    compiled: bool = False


def our_ways(problem: Problem, V: Tensor) -> list[Way]:
    """Our operators, and a gradient."""
    v, us = V[:, 0].contiguous(), functools.partial(Way, "valleyscope")
    planned = problem.hessian()
    graph = planned.graph_bytes
    whole = graph / GRAPH_SHARE  # a budget that is just enough
    kept = problem.hessian(keep_graph=True)
    rebuilt = problem.hessian(keep_graph=False, memory_budget=10 * whole)
    gauss_newton = GaussNewtonOperator(problem.model, logits, losses_of, problem.batch)
    fisher = FisherOperator(problem.model, logits, problem.batch)
    noise = GradientCovariance(problem.model, sequence_losses, problem.batch)
    scores = SEQUENCES * noise.size * noise.dtype.itemsize

    def compiled_product() -> Callable[[], object]:
        operator = problem.hessian(compiled=True)
        return lambda: operator.matvec(v)

    def split(pieces: int) -> Way:
        budget = 1.05 * whole / pieces
        operator = problem.hessian(memory_budget=budget)
        most = -(-SEQUENCES // -(-SEQUENCES // operator.microbatch))
        return us("Hessian", f"microbatches of {most}", lambda: lambda: operator.matvec(v), budget=budget)

    block = f"block of {BLOCK}"
    return [
        Way("torch", "gradient", "one vector", lambda: problem.gradient),
        Way("torch", "gradient", "compiled", problem.compiled_gradient, compiled=True),
        us("Hessian", "graph kept", lambda: lambda: kept.matvec(v), held=graph),
        us("Hessian", f"graph kept, {block}", lambda: lambda: kept.matmat(V), BLOCK, held=graph),
        us("Hessian", "rebuilt", lambda: lambda: rebuilt.matvec(v)),
        us("Hessian", f"rebuilt, {block}", lambda: lambda: rebuilt.matmat(V), BLOCK),
        us("Hessian", "compiled", compiled_product, held=graph, compiled=True),
        *(split(pieces) for pieces in (2, 4, 8)),
        us(
            "Gauss-Newton",
            "graph kept",
            lambda: lambda: gauss_newton.matvec(v),
            held=gauss_newton.graph_bytes,
        ),
        us("Fisher", "graph kept", lambda: lambda: fisher.matvec(v), held=fisher.graph_bytes),
        us("gradient noise", "scores kept", lambda: lambda: noise.matvec(v), held=scores),
    ]


def ways_of(peer: Peer, problem: Problem, V: Tensor, new: bool) -> list[Way]:
    """A library's products; `new`: also in ways that its installed version does not have."""
    v, batch, model = V[:, 0].contiguous(), problem.batch, problem.model
    them = functools.partial(Way, peer.label)
    if peer.label.startswith("PyHessian"):
        product = peers.pyhessian_product(peer, model, batch)
        graph = problem.hessian().graph_bytes  # that of the same gradient
        return [them("Hessian", "one vector", lambda: lambda: product(v), held=graph)]
    if peer.label.startswith("hessian-eigenthings"):
        hessian = peers.eigenthings_hessian(peer, model, batch)
        ways = [them("Hessian", "one vector", lambda: lambda: hessian.matvec(v))]
        if new:
            fused = peers.eigenthings_gauss_newton(peer, model, batch)
            told = "fused loss, finite differences"
            ways.append(
                them("Gauss-Newton", told, lambda: lambda: fused.matvec(v), exact=False, compiled=True)
            )
        return ways
    operators = {kind: peers.curvlinops_operator(peer, model, batch, kind) for kind in ("Hessian", "GGN")}
    ways = [
        them("Hessian", "one vector", lambda: lambda: operators["Hessian"] @ v),
        them("Hessian", f"block of {BLOCK}", lambda: lambda: operators["Hessian"] @ V, BLOCK),
        them("Gauss-Newton", "one vector", lambda: lambda: operators["GGN"] @ v),
    ]
    if new:  # as its own benchmark compiles them
        for kind, name in (("Hessian", "Hessian"), ("GGN", "Gauss-Newton")):
            make = functools.partial(torch.compile, lambda kind=kind: operators[kind] @ v)
            ways.append(them(name, "compiled", make, compiled=True))
    return ways


def compile_times(ways: list[Way]) -> dict[Way, tuple[float, float]]:
    """Seconds to the first result of each compiled way, without and with torch's cache on disk."""

    def first_results() -> list[float]:
        torch.compiler.reset()
        took = []
        for way in ways:
            start = time.perf_counter()
            way.make()()
            took.append(time.perf_counter() - start)
        return took

    return dict(zip(ways, zip(first_results(), first_results(), strict=True), strict=True))


def measure_products(problem: Problem, libraries: list[Peer], newer: list[Peer], rounds: int) -> pd.DataFrame:
    """Seconds, gradients and peak bytes of one product, per vector, by library and way to run.

    The same before and after this process keeps the memory that it frees.
    """
    size = flat_weights(problem.model).numel()
    V = torch.randn(size, BLOCK, generator=torch.Generator().manual_seed(0))
    ways = our_ways(problem, V)
    for peer in [*libraries, *newer]:
        ways += ways_of(peer, problem, V, new=peer in newer)
    with fresh_cache():
        compiling = compile_times([way for way in ways if way.compiled])
        calls = {way: way.make() for way in ways}
        fixed = pd.DataFrame([fixed_costs(way, calls, compiling.get(way)) for way in ways])
        default = time_in_turns(calls, rounds).assign(freed_memory="returned")
        keep_freed_memory()
        kept = time_in_turns(calls, rounds).assign(freed_memory="kept")
    return pd.concat([default, kept]).merge(fixed, on=["library", "operator", "way"])


def fixed_costs(way: Way, calls: dict[Way, Callable], compiling: tuple[float, float] | None) -> dict:
    """Memory, compile time and error of one way; the error is relative to our product, graph kept."""
    row = {"library": way.library, "operator": way.operator, "way": way.name}
    peak = peak_allocated(calls[way], CPU) + way.held
    cold, warm = compiling or (None, None)
    row |= {"peak_bytes": peak, "budget_bytes": way.budget, "compile_cold": cold, "compile_warm": warm}
    if way.operator not in ("Hessian", "Gauss-Newton") or way.vectors > 1:
        return row | {"error": None}
    ours = next(w for w in calls if (w.operator, w.name) == (way.operator, "graph kept"))
    truth = calls[ours]()
    error = ((calls[way]() - truth).norm() / truth.norm()).item()
    if way.exact and error > 1e-3:  # ReLU²'s second derivative jumps where rounding turns a sign
        raise InputError(f"{way.library}, {way.name}: computes something else, by {error:.1e}")
    return row | {"error": error}


def time_in_turns(calls: dict[Way, Callable], rounds: int) -> pd.DataFrame:
    """Seconds a vector of each way in each round, in random order; the same in gradients of that round."""
    rows, order, ways = [], np.random.default_rng(0), list(calls)
    with stage.arguments.progress(rounds, "products", "round") as bar:
        for turn in range(rounds + 1):
            took = {}
            for index in order.permutation(len(ways)):
                start = time.perf_counter()
                calls[ways[index]]()
                took[ways[index]] = (time.perf_counter() - start) / ways[index].vectors
            if turn:  # the first turn warms up
                unit = took[ways[0]]  # a gradient
                rows += [(w.library, w.operator, w.name, turn, took[w], took[w] / unit) for w in ways]
                bar.update()
    return pd.DataFrame(rows, columns=["library", "operator", "way", "round", "seconds", "gradients"])


def measure_solvers(problem: Problem, libraries: list[Peer], rounds: int) -> pd.DataFrame:
    """Seconds, products and the worst residual of the 16 leading eigenpairs, set-up included."""
    curvlinops, pyhessian, eigenthings = libraries
    task = (problem.model, problem.batch)

    def ours(method: str) -> tuple[Tensor, int]:
        result = top_eigenpairs(problem.hessian(), COUNT, tol=TOLERANCE, method=method)
        return result.vectors, result.matvecs

    def their_lanczos(steps: int) -> tuple[Tensor, int]:
        return peers.eigenthings_lanczos(eigenthings, *task, COUNT, TOLERANCE, steps)

    check = problem.hessian()
    # The library's own limit does not look at residuals: give it the fewest steps, by tens, that reach them.
    for steps in range(40, 200, 10):
        if peers.worst_residual(check, their_lanczos(steps)[0]) <= TOLERANCE:
            break
    else:
        raise InputError(f"hessian-eigenthings' Lanczos did not reach {TOLERANCE} in {steps} steps")
    power = "power iteration, at most {} steps a pair"
    solvers = {  # (library, method) -> (call, rounds)
        ("valleyscope", "Lanczos"): (lambda: ours("lanczos"), rounds),
        ("SciPy", "eigsh on valleyscope's Hessian"): (
            lambda: peers.scipy_eigenpairs(problem.hessian(), COUNT, TOLERANCE), rounds
        ),
        ("SciPy", "eigsh on curvlinops' Hessian"): (
            lambda: peers.scipy_eigenpairs(
                peers.curvlinops_operator(curvlinops, *task), COUNT, TOLERANCE
            ), rounds
        ),
        (eigenthings.label, f"Lanczos, {steps} steps"): (lambda: their_lanczos(steps), rounds),
        ("valleyscope", power.format(100)): (lambda: ours("power"), 1),
        (eigenthings.label, power.format(peers.POWER_STEPS)): (
            lambda: peers.eigenthings_power(eigenthings, *task, COUNT, TOLERANCE), 1
        ),
        (pyhessian.label, power.format(peers.POWER_STEPS)): (
            lambda: peers.pyhessian_power(pyhessian, *task, COUNT, TOLERANCE), 1
        ),
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
                residual = peers.worst_residual(check, vectors)
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
            unit, ratio = compared(
                lambda o=operator, v=v: o.matvec(v), lambda o=one, b=batch: o.gradient(b), rounds
            )
            start = time.perf_counter()
            eigen = top_eigenpairs(operator, count, tol=TOLERANCE)
            solve = time.perf_counter() - start
            assert eigen.converged
            rows.append((axis, operator.size, sequences, count, unit, ratio, solve / unit, eigen.matvecs))
            bar.update()
    columns = ["axis", "parameters", "sequences", "pairs", "gradient_seconds", "product_gradients"]
    return pd.DataFrame(rows, columns=[*columns, "solve_gradients", "products"])


def compared(call: Callable, unit: Callable, rounds: int) -> tuple[float, float]:
    """Median seconds of `unit`, and the median ratio of `call` to it, in turns."""
    pairs = [(seconds(unit, 1)[0], seconds(call, 1)[0]) for _ in range(rounds)]
    return np.median([u for u, _ in pairs]), np.median([c / u for u, c in pairs])


def measure_replicas(problem: Problem, rounds: int) -> pd.DataFrame:
    """Gradients of R replicas of the study's model on batches of their own, over R times that of one."""
    model, rows = Transformer(STUDY), []
    weights, replicas = flat_weights(model), (1, TOGETHER, 8 * TOGETHER)
    gradients = replica_gradients(model, sequence_losses)
    data = problem.data[:, : STUDY.context + 1]

    def one() -> None:
        loss = sequence_losses(model, data[:STUDY_BATCH]).mean()
        torch.autograd.grad(loss, list(model.parameters()))

    with (
        stage.arguments.progress(2 * len(replicas), "replicas", "case") as bar,
        TemporaryDirectory() as folder,
    ):
        for way in ("eager", "compiled"):
            with compiled_gradients(Path(folder)) if way == "compiled" else nullcontext():
                for count in replicas:
                    W = weights.repeat(count, 1)
                    batches = data[: count * STUDY_BATCH].view(count, STUDY_BATCH, -1)
                    start = time.perf_counter()
                    gradients(W, batches)
                    first = time.perf_counter() - start
                    unit, ratio = compared(lambda W=W, b=batches: gradients(W, b), one, rounds)
                    rows.append((way, count, len(weights), STUDY_BATCH, first, unit, ratio / count))
                    bar.update()
    columns = ["way", "replicas", "parameters", "sequences", "first_seconds", "gradient_seconds"]
    return pd.DataFrame(rows, columns=[*columns, "replica_gradients"])


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


def measure_traces(problem: Problem, peer: Peer, repeats: int, products: int = 48) -> pd.DataFrame:
    """Estimates of Tr H and Tr H² by each estimator at the same number of products, repeated."""
    curvlinops = peer.module
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
    warnings.filterwarnings("ignore", "`torch._prims_common.check` is deprecated")  # its own compiler's
    libraries = [peers.installed(name) for name in ("curvlinops", "pyhessian", "hessian_eigenthings")]
    newer = [peers.from_sources(folder) for folder in args.sources]
    problem = trained(args.tokens, WIDTH)
    few = args.quick
    if args.only and "products" not in args.only:
        keep_freed_memory()
    tables = {
        "products": lambda: measure_products(problem, libraries, newer, 2 if few else 10),
        "solvers": lambda: measure_solvers(problem, libraries, 1 if few else 3),
        "growth": lambda: measure_growth(args.tokens, problem, 2 if few else 5),
        "replicas": lambda: measure_replicas(problem, 10 if few else 50),
        "warm_starts": lambda: measure_warm_starts(problem),
        "traces": lambda: measure_traces(problem, libraries[0], 3 if few else 12),
    }
    for name, measure in tables.items():
        if not args.only or name in args.only:
            meta = stage.arguments.meta(args, args.tokens)
            write_table(
                measure(), args.out / f"{name}.csv", meta, may_be_empty=EMPTY if name == "products" else []
            )


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.set_defaults(threads=torch.get_num_threads())
    parser.add_argument("--tokens", type=Path, required=True, help="tokens of the corpus")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--only", nargs="+", help="tables to measure; default: all")
    parser.add_argument(
        "--sources",
        type=Path,
        nargs="+",
        default=[],
        help="git checkouts of the other libraries, for products",
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it runs")
    stage.arguments.run(main, parser, keep_memory=False)
