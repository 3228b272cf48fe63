"""Measure products, eigenpairs, replicas and the stages of Δ₂^(D) on one GPU, and run the oracle tests on it.

Sections run one after the other, each under a time limit of its own; gpu.csv is written after each, so that
what was measured stays. Models are trained for seconds, on the corpus where its tokens are given and fit
their vocabulary, else on a Markov chain. Any torch will do; libraries that are not installed are left out.

Example:
    python benchmarks/measure_gpu.py --device cuda --out benchmarks/results
"""

import gc
import re
import signal
import subprocess
import sys
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import stage.arguments
from stage.point import Point
from stage.problem import sequences as sequences_of

import numpy as np
import pandas as pd
import peers
import torch
from torch import Tensor

import time_estimators
import time_replicas
from valleyscope.artifacts import machine, versions, write_table
from valleyscope.criteria import standard_normals
from valleyscope.eigen import top_eigenpairs
from valleyscope.engine.timing import seconds
from valleyscope.errors import InputError, one_line
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.increments import direct_increments, require_finite_increments
from valleyscope.models.model import ModelSettings, Transformer, sequence_losses
from valleyscope.models.training import TrainingSettings, train

ROOT = Path(__file__).resolve().parents[1]
CORPUS_VOCABULARY = 512  # tokens of configs/default.yaml
TOLERANCE = 1e-3  # of eigenpairs
AGREEMENT = 1e-4  # relative difference of two libraries' products
SIGMA = 1e-3  # of the probes in stage III
AT_ONCE = 8  # displacements: all of them beside the eigenvectors would not fit at 49M
HELD_OUT = 16  # sequences
SHORTEST = 15  # seconds: no section starts with less
REPLICA_BATCH = 8
# Of the study: N = 57,344.
REPLICA_MODEL = ModelSettings(vocab_size=512, context=16, depth=2, width=32, heads=2, kv_heads=2)

NUMBERS = ["parameters", "sequences", "tokens", "pairs", "samples", "replicas", "round"]
COUNTS = ["products", "peak_bytes", "passed", "failed"]
COLUMNS = ["section", "library", "method", *NUMBERS, "seconds", "gradients", "residual", *COUNTS]
ALWAYS = ["section", "library", "method", "round", "seconds", "card", "torch"]


@dataclass(frozen=True)
class Size:
    """A model and how long it is trained."""

    model: ModelSettings
    batch: int
    steps: int
    learning_rate: float

    @property
    def training(self) -> TrainingSettings:
        rate, warmup = self.learning_rate, self.steps // 10
        return TrainingSettings(1, self.batch, rate, warmup, weight_decay=0.01, record_every=self.steps)


@dataclass(frozen=True)
class Plan:
    """What is measured; the last size is that of the stages."""

    sizes: dict[str, Size]
    sequences: int = 64  # of the batch of products and eigenpairs
    tokens: int = 64  # of each
    pairs: int = 16
    rounds: int = 12  # of products
    turns: int = 2  # of eigenpairs
    host_limit: int = 20_000_000  # N up to which solvers run that keep vectors on the host or take far longer
    replicas: tuple[int, ...] = (1, 8, 64, 512)
    repeats: int = 5  # of replicas and stages
    k: int = 8  # sequences of L_k in the stages, of as many tokens as the model reads
    dim: int = 45  # D
    samples: int = 64  # S


def blocks(vocab_size: int, context: int) -> ModelSettings:
    """Paper A's: configs/d6.yaml."""
    return ModelSettings(vocab_size, context, depth=6, width=384, heads=3, kv_heads=3)


FULL = Plan(
    {
        "0.16M": Size(ModelSettings(512, 64, depth=2, width=64, heads=4, kv_heads=4), 8, 512, 6e-3),
        "11M": Size(blocks(512, 64), 64, 200, 1e-3),
        "49M": Size(blocks(50_304, 512), 8, 300, 1e-3),
    }
)
TINY = ModelSettings(32, 16, depth=1, width=16, heads=2, kv_heads=2)
QUICK = Plan(
    {"tiny": Size(TINY, 8, 8, 6e-3)},
    sequences=8, tokens=16, pairs=4, rounds=2, turns=1, replicas=(1, 4), repeats=2, k=4, dim=6, samples=16,
)  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """A trained model, its sequences (n, T + 1), and where they come from."""

    model: Transformer
    data: Tensor
    source: str
    plan: Plan = field(repr=False)

    @property
    def device(self) -> str:
        return self.data.device.type

    @property
    def batch(self) -> Tensor:
        return self.data[: self.plan.sequences, : self.plan.tokens + 1]

    @property
    def row(self) -> dict:
        """What every row of this problem says."""
        size = sum(p.numel() for p in self.model.parameters())
        n, length = self.batch.shape
        return {"parameters": size, "sequences": n, "tokens": length - 1, "data": self.source}

    def hessian(self, **options) -> HessianOperator:
        return HessianOperator(self.model, sequence_losses, self.batch, **options)

    def gradient(self) -> None:
        loss = sequence_losses(self.model, self.batch).mean()
        torch.autograd.grad(loss, list(self.model.parameters()))

    def vector(self) -> Tensor:
        size = self.row["parameters"]
        return torch.randn(size, generator=torch.Generator().manual_seed(0)).to(self.device)


def markov_chain(vocabulary: int, length: int, count: int, seed: int) -> Tensor:
    """Sequences (count, length) to learn from where there is no text.

    Nine times in ten one of four tokens follows a given one, in shares of 8 : 4 : 2 : 1; else any, by Zipf's
    law.
    """
    rng = np.random.default_rng(seed)
    zipf = np.cumsum(1 / np.arange(1, vocabulary + 1))
    shares = np.cumsum([8, 4, 2, 1]) / 15

    def any_token(*shape: int) -> np.ndarray:
        return zipf.searchsorted(rng.random(shape) * zipf[-1])

    following = any_token(vocabulary, 4)
    tokens = np.empty((count, length), dtype=np.int64)
    tokens[:, 0] = any_token(count)
    for t in range(1, length):
        likely = following[tokens[:, t - 1], shares.searchsorted(rng.random(count))]
        tokens[:, t] = np.where(rng.random(count) < 0.9, likely, any_token(count))
    return torch.from_numpy(tokens)


def trained(size: Size, plan: Plan, tokens: Path | None, device: str) -> Problem:
    """The model of this size after one pass over its sequences."""
    model, count = size.model, size.batch * size.steps
    if tokens is not None and model.vocab_size == CORPUS_VOCABULARY:
        source = "corpus"
        data, held_out = sequences_of(tokens, model.context, (count, HELD_OUT), 0, device)
    else:
        source = "Markov chain"
        chain = markov_chain(model.vocab_size, model.context + 1, count + HELD_OUT, seed=0).to(device)
        data, held_out = chain[:count], chain[count:]
    network = Transformer(model).to(device)
    records = train(network, sequence_losses, data, held_out, size.training, seed=0)
    network.zero_grad(set_to_none=True)
    losses = [f"{record.held_out_loss:.2f}" for record in (records[0], records[-1])]
    problem = Problem(network, data, source, plan)
    say(f"N = {problem.row['parameters']:,}: held-out loss {' -> '.join(losses)} nats, {source}")
    return problem


def say(line: str) -> None:
    print(f"measure_gpu: {line}", flush=True)


@contextmanager
def left_out(what: str) -> Iterator[None]:
    """Another library may fail at anything on this device; its row is left out and a line says why."""
    try:
        yield
    except Exception as error:
        say(f"{what}: left out ({type(error).__name__}: {one_line(str(error))[:200]})")


class OutOfTime(BaseException):
    """Not an Exception, which libraries may catch."""


@contextmanager
def time_limit(limit: float) -> Iterator[None]:
    """OutOfTime after so many seconds, between two calls of the interpreter."""

    def stop(*_):
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def took(call: Callable[[], object], device: str) -> tuple[float, int | None, object]:
    """Seconds of a call, on a GPU bytes at its peak above those held before, and what it returned."""
    cuda = device == "cuda"
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    start = time.perf_counter()
    result = call()
    if cuda:
        torch.cuda.synchronize()
    taken = time.perf_counter() - start
    return taken, torch.cuda.max_memory_allocated() - before if cuda else None, result


def require_agreement(product: Tensor, truth: Tensor, name: str) -> None:
    """InputError unless a product is ours but for rounding."""
    difference = ((product - truth).norm() / truth.norm()).item()
    if not difference <= AGREEMENT:
        raise InputError(f"the product of {name} differs from ours by {difference:.1e}")


def products(problem: Problem) -> Iterator[dict]:
    """Products with one vector by library and way, in turns; peaks are of set-up and one product."""
    ours = {"graph kept": {"keep_graph": True}, "rebuilt": {"keep_graph": False}}
    builders = {
        ("valleyscope", way): lambda options=options: problem.hessian(**options).matvec
        for way, options in ours.items()
    }
    v, device = problem.vector(), problem.device
    truth = builders["valleyscope", "graph kept"]()(v)
    absent = peers.missing()
    for name, build in peers.PRODUCTS.items():
        if name not in absent:
            builders[name, "one vector"] = partial(build, problem.model, problem.batch)
    calls = {("torch", "gradient"): problem.gradient}
    peaks = {("torch", "gradient"): took(problem.gradient, device)[1]}
    for key, build in builders.items():
        with nullcontext() if key[0] == "valleyscope" else left_out(f"products, {key[0]}"):
            _, peak, found = took(lambda build=build: build()(v), device)
            require_agreement(found, truth, key[0])
            calls[key], peaks[key] = partial(build(), v), peak
    yield from in_turns(problem, calls, peaks)


def in_turns(problem: Problem, calls: dict, peaks: dict) -> Iterator[dict]:
    """Rows of calls that take turns in random order, after one turn that is not counted."""
    order = np.random.default_rng(0)
    for turn in range(problem.plan.rounds + 1):
        taken = {}
        for index in order.permutation(len(calls)):
            key = list(calls)[index]
            taken[key] = took(calls[key], problem.device)[0]
        if turn:
            unit = taken["torch", "gradient"]
            for library, method in calls:
                row = {"section": "products", "library": library, "method": method, "round": turn}
                row |= {"seconds": taken[library, method], "gradients": taken[library, method] / unit}
                yield problem.row | row | {"peak_bytes": peaks[library, method]}


class Solving:
    """Timed calls that return eigenvectors (N, D) and the products they took; residuals by our product."""

    def __init__(self, problem: Problem):
        self.problem, self.check = problem, problem.hessian()
        self.unit = median(seconds(problem.gradient, 5, problem.device))

    def row(self, library: str, method: str, turn: int, call: Callable) -> dict:
        taken, peak, (vectors, count) = took(call, self.problem.device)
        row = {"section": "eigenpairs", "library": library, "method": method, "round": turn}
        row |= {"pairs": vectors.shape[1], "seconds": taken, "gradients": taken / self.unit}
        row |= {"residual": peers.worst_residual(self.check, vectors)}
        return self.problem.row | row | {"products": count, "peak_bytes": peak}


def lanczos(problem: Problem, operator: HessianOperator) -> tuple[Tensor, int]:
    found = top_eigenpairs(operator, problem.plan.pairs, tol=TOLERANCE)
    return found.vectors, found.matvecs


def eigenpairs(problem: Problem) -> Iterator[dict]:
    """The leading eigenpairs, set-up included; iterations that take far longer run once and not at 49M."""
    solving, plan, absent = Solving(problem), problem.plan, peers.missing()
    for turn in range(1, plan.turns + 1):
        call = lambda: lanczos(problem, problem.hessian())  # noqa: E731
        ours = solving.row("valleyscope", "Lanczos", turn, call)
        yield ours
    wanted = (problem.model, problem.batch, plan.pairs, TOLERANCE)
    if "hessian-eigenthings" not in absent:
        with left_out("eigenpairs, hessian-eigenthings"):
            yield fewest_steps(solving, wanted, first=max(plan.pairs, ours["products"] * 8 // 100 * 10))
    if problem.row["parameters"] > plan.host_limit:
        say(f"eigenpairs, SciPy and PyHessian: left out above N = {plan.host_limit:,}, they take minutes")
        return

    def scipy() -> tuple[Tensor, int]:
        operator = peers.curvlinops_operator(peers.installed("curvlinops"), *wanted[:2])
        return peers.scipy_eigenpairs(operator, *wanted[2:], problem.device)

    def power_iteration() -> tuple[Tensor, int]:
        return peers.pyhessian_power(peers.installed("pyhessian"), *wanted)

    power = f"power iteration, at most {peers.POWER_STEPS} steps a pair"
    others = {
        ("SciPy", "eigsh on curvlinops' Hessian", "curvlinops"): scipy,
        ("PyHessian", power, "PyHessian"): power_iteration,
    }
    for (library, method, needed), call in others.items():
        if needed not in absent:
            with left_out(f"eigenpairs, {library}"):
                yield solving.row(library, method, 1, call)


def fewest_steps(solving: Solving, wanted: tuple, first: int) -> dict:
    """The row of hessian-eigenthings' Lanczos with the fewest steps, by tens from `first`, that are enough.

    It stops after a given number of steps and does not look at residuals.
    """
    peer = peers.installed("hessian_eigenthings")
    for steps in range(first, first + 100, 10):
        call = partial(peers.eigenthings_lanczos, peer, *wanted, steps)
        row = solving.row("hessian-eigenthings", f"Lanczos, {steps} steps", 1, call)
        if row["residual"] <= TOLERANCE:
            return row
    raise InputError(f"its Lanczos did not reach {TOLERANCE} in {steps} steps")


def compiled(problem: Problem) -> Iterator[dict]:
    """The compiled product: set-up with compilation, rounds beside a gradient, eigenpairs without set-up."""
    v = problem.vector()
    taken, _, operator = took(lambda: warmed(problem.hessian(compiled=True), v), problem.device)
    row = {"section": "products", "library": "valleyscope", "method": "compilation", "round": 1}
    yield problem.row | row | {"seconds": taken}
    require_agreement(operator.matvec(v), problem.hessian().matvec(v), "the compiled operator")
    peak = took(lambda: operator.matvec(v), problem.device)[1]
    key = ("valleyscope", "compiled")
    calls = {("torch", "gradient"): problem.gradient, key: partial(operator.matvec, v)}
    for row in in_turns(problem, calls, {("torch", "gradient"): None, key: peak}):
        if row["method"] == "compiled":
            yield row
    solving = Solving(problem)
    for turn in range(1, problem.plan.turns + 1):
        yield solving.row("valleyscope", "Lanczos, compiled", turn, lambda: lanczos(problem, operator))


def warmed(operator: HessianOperator, v: Tensor) -> HessianOperator:
    """The operator after a product: now it is compiled."""
    operator.matvec(v)
    return operator


def replicas(plan: Plan, device: str) -> Iterator[dict]:
    """Steps of SGD of many replicas, in one batched computation and as a loop; seconds are of all of them."""
    settings = REPLICA_MODEL
    data = markov_chain(settings.vocab_size, settings.context + 1, 64, seed=0).to(device)
    ways = {"batched": time_replicas.batched, "loop": time_replicas.loop}
    for count in plan.replicas:
        steps = {
            method: way(Transformer(settings).to(device), data, count, REPLICA_BATCH, rate=0.01)
            for method, way in ways.items()
        }
        for turn in range(plan.repeats + 1):
            for method, step in steps.items():
                taken, peak, _ = took(step, device)
                if turn:
                    row = {"section": "replicas", "library": "valleyscope", "method": method, "round": turn}
                    row |= {"parameters": sum(p.numel() for p in Transformer(settings).parameters())}
                    row |= {"sequences": REPLICA_BATCH, "tokens": settings.context, "replicas": count}
                    yield row | {"seconds": taken, "peak_bytes": peak, "data": "Markov chain"}


def stages(problem: Problem) -> Iterator[dict]:
    """Stages I, II and III of Δ₂^(D) for the single next sequence, as src/time_estimators.py times them."""
    plan, device = problem.plan, problem.device
    point = Point(problem.model, problem.data, problem.data[:0], plan.k, None)
    arguments = Namespace(dim=plan.dim, data_seed=0)
    unit = median(seconds(partial(time_estimators.gradient, point), plan.repeats, device))
    same = {"section": "stages", "library": "valleyscope", "sequences": plan.k, "pairs": plan.dim}
    same = problem.row | same | {"tokens": problem.data.shape[1] - 1, "samples": plan.samples}

    def row(method: str, turn: int, taken: float, peak: int | None, count: int) -> dict:
        cost = {"seconds": taken, "gradients": taken / unit, "products": count, "peak_bytes": peak}
        return same | {"method": method, "round": turn} | cost

    subspace = partial(time_estimators.subspace, arguments, point, TOLERANCE)
    for turn in range(1, plan.turns + 1):
        operator = eigen = None  # before the next is made: its basis takes half of what is free
        taken, peak, (operator, eigen) = took(subspace, device)
        yield row("I subspace", turn, taken, peak, eigen.matvecs)
    coefficients = partial(time_estimators.coefficients, point, operator, eigen)
    quadratic = coefficients()
    normals = SIGMA * torch.as_tensor(standard_normals(plan.samples, plan.dim, 0)).to(eigen.vectors)

    def direct() -> np.ndarray:
        parts = [
            direct_increments(point.model, sequence_losses, point.known, point.following, z @ eigen.vectors.T)
            for z in normals.split(AT_ONCE)
        ]
        return np.concatenate(parts)

    require_finite_increments(direct(), SIGMA)
    calls = {
        "II coefficients": (coefficients, plan.dim),
        "III direct Monte Carlo": (direct, 0),
        "III quadratic Monte Carlo": (partial(quadratic.monte_carlo, SIGMA, plan.samples, 0), 0),
        "III closed form": (partial(quadratic.gaussian_moment, SIGMA), 0),
    }
    for method, (call, count) in calls.items():
        for turn in range(plan.repeats + 1):
            taken, peak, _ = took(call, device)
            if turn:
                yield row(method, turn, taken, peak, count)


def oracle_tests(device: str) -> Iterator[dict]:
    """How many of the tests against dense float64 truth pass with models and data on the device."""
    command = [sys.executable, "-m", "pytest", "-W", "default", "-p", "no:cacheprovider"]
    command += ["tests/oracle/test_on_device.py", "--device", device]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    told = (done.stdout + done.stderr).strip().splitlines()
    found = dict.fromkeys(("passed", "failed", "error"), 0)
    found |= {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", told[-1])}
    passed, failed = found["passed"], found["failed"] + found["error"]
    if passed + failed:
        row = {"section": "tests", "library": "valleyscope", "method": "oracle tests on the device"}
        row |= {"round": 1, "seconds": time.perf_counter() - start}
        yield row | {"passed": passed, "failed": failed}
    if done.returncode:
        print("\n".join(told[-60:]), flush=True)
        raise InputError("the oracle tests did not all pass")


def sections(plan: Plan, problem: Callable[[str], Problem], device: str) -> dict[str, tuple[int, Callable]]:
    """Name -> limit in seconds and a function that yields rows; training counts in the first of a size.

    Large models come late, so that an error that ends the use of the device costs few rows, and what has to
    be compiled last.
    """
    *smaller, largest = plan.sizes

    def of(measure: Callable, name: str) -> Callable:
        return lambda: measure(problem(name))

    chosen = {}
    for name in smaller:
        chosen[f"products {name}"] = (60, of(products, name))
        chosen[f"eigenpairs {name}"] = (35, of(eigenpairs, name))
    chosen["replicas"] = (25, lambda: replicas(plan, device))
    chosen["tests"] = (90, lambda: oracle_tests(device))
    chosen[f"products {largest}"] = (60, of(products, largest))
    chosen[f"eigenpairs {largest}"] = (60, of(eigenpairs, largest))
    chosen["stages"] = (110, of(stages, largest))
    for name in (largest, *smaller):
        chosen[f"compiled {name}"] = (100, of(compiled, name))
    return chosen


def written(rows: list[dict], out: Path, meta: dict) -> pd.DataFrame:
    """Write gpu.csv and return it."""
    table = pd.DataFrame(rows).reindex(columns=[*COLUMNS, "data", "card", "torch"])
    table = table.astype(dict.fromkeys([*NUMBERS, *COUNTS], "Int64"))
    empty = [name for name in table if name not in ALWAYS]
    write_table(table, out / "gpu.csv", meta, may_be_empty=empty)
    return table


def released() -> None:
    """Give back what a section held, on the device and by the compiler."""
    gc.collect()
    if "torch._dynamo" in sys.modules:
        torch._dynamo.reset()
    if torch.cuda.is_available():
        with suppress(RuntimeError):  # where the device is lost its sections say so
            torch.cuda.empty_cache()


def summary(table: pd.DataFrame) -> str:
    """Medians over rounds."""
    keys = ["section", "parameters", "library", "method", "replicas"]
    shown = {"seconds": "median", "gradients": "median", "products": "median", "residual": "max"}
    shown |= {"peak_bytes": "max", "passed": "max", "failed": "max"}
    return table.groupby(keys, sort=False, dropna=False).agg(shown).reset_index().to_string(
        index=False, na_rep="", float_format=lambda x: f"{x:.3g}"
    )  # fmt: skip


def main(args):
    began = time.monotonic()
    warnings.filterwarnings("ignore", "Using backward\\(\\) with create_graph=True")
    # As the stages run, but what has no deterministic form on this device runs all the same and says so.
    torch.set_deterministic_debug_mode("warn")
    plan, problems, rows, failed = QUICK if args.quick else FULL, {}, [], []
    card = torch.cuda.get_device_name() if args.device == "cuda" else machine()
    say(f"{card}, torch {torch.__version__}")
    for name, why in peers.missing().items():
        say(f"{name}: left out ({one_line(why)[:200]})")

    def problem(name: str) -> Problem:
        if name not in problems:
            problems[name] = trained(plan.sizes[name], plan, args.tokens, args.device)
        return problems[name]

    inputs = [args.tokens] if args.tokens else []
    meta = stage.arguments.meta(args, *inputs) | {"card": card, "cuda": torch.version.cuda}
    packages = ("curvlinops-for-pytorch", "PyHessian", "hessian-eigenthings", "scipy")
    meta |= {"peers": versions(packages)}
    for name, (limit, section) in sections(plan, problem, args.device).items():
        if args.only and not name.startswith(tuple(args.only)):
            continue
        left = 60 * args.minutes - (time.monotonic() - began)
        if left < SHORTEST:
            say(f"{name}: left out, the {args.minutes:g} minutes are used up")
            continue
        start, before = time.monotonic(), len(rows)
        try:
            with time_limit(min(limit, left)):
                for row in section():
                    rows.append(row | {"card": card, "torch": torch.__version__})
        except OutOfTime:
            say(f"{name}: stopped after {min(limit, left):.0f} s")
        except Exception as error:  # the other sections are worth having all the same
            failed.append(name)
            say(f"{name}: failed ({type(error).__name__}: {one_line(str(error))[:400]})")
        released()
        say(f"{name}: {len(rows) - before} rows in {time.monotonic() - start:.1f} s")
        if rows:
            table = written(rows, args.out, meta)
    if rows:
        print(summary(table), flush=True)
    if failed:
        raise InputError(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.set_defaults(device="cuda", threads=torch.get_num_threads())
    parser.add_argument("--tokens", type=Path, help="tokens of the corpus; default: a Markov chain's")
    parser.add_argument("--out", type=Path, required=True, help="folder of the table")
    parser.add_argument("--minutes", type=float, default=8, help="after which no section starts")
    parser.add_argument("--only", nargs="+", help="first words of the sections to run; default: all")
    parser.add_argument("--quick", action="store_true", help="a tiny model, to see that it runs")
    stage.arguments.run(main, parser)
