"""Other libraries on a transformer's mean loss: the installed versions and, beside them, newer sources.

A library is imported when it is asked for, so that the others need not be installed. An installed version is
imported first and keeps its own modules; a folder of sources then takes its place for later imports, so that
both run in one process.
"""

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from valleyscope.errors import InputError
from valleyscope.models.model import sequence_losses

MODULES = {"curvlinops": "curvlinops", "PyHessian": "pyhessian", "hessian-eigenthings": "hessian_eigenthings"}
NAMES = {module: name for name, module in MODULES.items()}
POWER_STEPS = 50  # of their power iterations, a pair
DISTRIBUTIONS = {"curvlinops": "curvlinops-for-pytorch"}  # where it has another name


@dataclass(frozen=True)
class Peer:
    """One version of a library; `label` is what tables call it."""

    label: str
    module: ModuleType


def installed(package: str) -> Peer:
    """The version that is installed."""
    found = version(DISTRIBUTIONS.get(package, NAMES[package]))
    return Peer(f"{NAMES[package]} {found}", import_module(package))


def missing() -> dict[str, str]:
    """Libraries that cannot be imported, and why."""
    found = {}
    for name, module in MODULES.items():
        try:
            import_module(module)
        except Exception as error:  # with another torch they may fail at anything
            found[name] = f"{type(error).__name__}: {error}"
    return found


def from_sources(folder: Path) -> Peer:
    """The library whose package lies in `folder`, named by its last tag and commit."""
    package = next((name for name in NAMES if (folder / name / "__init__.py").is_file()), None)
    if package is None:
        raise InputError(f"{folder}: holds no package {' or '.join(NAMES)}")
    git = ["git", "-C", str(folder), "describe", "--tags", "--always"]
    told = subprocess.run(git, capture_output=True, text=True)
    if told.returncode:
        raise InputError(f"{folder}: is no git checkout, so that its version is not known")
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]
    sys.path.insert(0, str(folder.resolve()))
    return Peer(f"{NAMES[package]} {told.stdout.strip().removeprefix('v')}", import_module(package))


def curvlinops_operator(peer: Peer, model: nn.Module, batch: Tensor, kind: str = "Hessian"):
    """Its Hessian or GGN of the mean token loss."""
    whole = nn.Sequential(model, nn.Flatten(0, 1))
    inputs, targets = batch[:, :-1], batch[:, 1:].flatten()

    def build(parameters):
        return getattr(peer.module, f"{kind}LinearOperator")(
            whole,
            nn.CrossEntropyLoss(),
            parameters,
            [(inputs, targets)],
            num_data=targets.numel(),
            batch_size_fn=lambda x: x.numel(),
            check_deterministic=False,
        )

    named = dict(whole.named_parameters())
    try:
        return build(named)
    except (TypeError, AttributeError):  # 3.0.1 takes them without names
        return build(list(named.values()))


def eigenthings_hessian(peer: Peer, model: nn.Module, batch: Tensor):
    return peer.module.HessianOperator(model, [batch], lambda m, b: sequence_losses(m, b).mean())


def eigenthings_gauss_newton(peer: Peer, model: nn.Module, batch: Tensor):
    """Its Gauss-Newton matrix with the fused curvature of cross-entropy, J v by finite differences.

    Of a copy of the model: it moves the weights in place, which would spoil graphs that others keep.
    """
    loss_fns = import_module(f"{peer.module.__name__}.loss_fns")
    loss = loss_fns.hf_lm_loss_of_output(fused="compile")

    def logits(m: nn.Module, b: dict) -> Tensor:
        return nn.functional.pad(m(b["labels"][:, :-1]), (0, 0, 0, 1))  # its loss drops the last position

    return peer.module.GGNOperator(deepcopy(model), [{"labels": batch}], logits, loss)


def pyhessian_operator(peer: Peer, model: nn.Module, batch: Tensor):
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs.flatten(0, -2), targets.flatten())

    model.zero_grad(set_to_none=True)  # it adds to what is there
    operator = peer.module.hessian(model, loss, data=(batch[:, :-1], batch[:, 1:]), cuda=batch.is_cuda)
    model.zero_grad(set_to_none=True)  # its own copy holds the graph
    return operator


def pyhessian_product(peer: Peer, model: nn.Module, batch: Tensor) -> Callable[[Tensor], Tensor]:
    operator = pyhessian_operator(peer, model, batch)
    sizes = [p.numel() for p in operator.params]

    def product(v: Tensor) -> Tensor:
        pieces = [x.view(p.shape) for x, p in zip(v.split(sizes), operator.params, strict=True)]
        images = peer.module.utils.hessian_vector_product(operator.gradsH, operator.params, pieces)
        return torch.cat([x.flatten() for x in images])

    return product


def pyhessian_power(
    peer: Peer, model: nn.Module, batch: Tensor, count: int, tolerance: float
) -> tuple[Tensor, int]:
    """Eigenvectors (N, count) by its power iteration, and the products that it took."""
    torch.manual_seed(0)
    operator, products = pyhessian_operator(peer, model, batch), [0]
    single = peer.module.utils.hessian_vector_product

    def counted(*arguments):
        products[0] += 1
        return single(*arguments)

    with patch.object(sys.modules["pyhessian.hessian"], "hessian_vector_product", counted):
        _, vectors = operator.eigenvalues(maxIter=POWER_STEPS, tol=tolerance, top_n=count)
    return torch.stack([torch.cat([x.flatten() for x in one]).detach() for one in vectors], dim=1), products[
        0
    ]


def eigenthings_lanczos(
    peer: Peer, model: nn.Module, batch: Tensor, count: int, tolerance: float, steps: int
) -> tuple[Tensor, int]:
    result = peer.module.lanczos(
        eigenthings_hessian(peer, model, batch), k=count, max_iter=steps, tol=tolerance, which="LA",
        reorthogonalize=True, seed=0,
    )  # fmt: skip
    return result.eigenvectors.T, result.iterations


def eigenthings_power(
    peer: Peer, model: nn.Module, batch: Tensor, count: int, tolerance: float
) -> tuple[Tensor, int]:
    operator, products = eigenthings_hessian(peer, model, batch), [0]
    single = operator.matvec

    def counted(v: Tensor) -> Tensor:
        products[0] += 1
        return single(v)

    operator.matvec = counted
    result = peer.module.deflated_power_iteration(
        operator, k=count, max_iter=POWER_STEPS, tol=tolerance, seed=0
    )
    return result.eigenvectors.T, products[0]


PRODUCTS = {  # library -> (model, batch) -> v -> H v, as installed
    "curvlinops": lambda model, batch: curvlinops_operator(installed("curvlinops"), model, batch).__matmul__,
    "PyHessian": lambda model, batch: pyhessian_product(installed("pyhessian"), model, batch),
    "hessian-eigenthings": (
        lambda model, batch: eigenthings_hessian(installed("hessian_eigenthings"), model, batch).matvec
    ),
}


def scipy_eigenpairs(operator, count: int, tol: float, device: str = "cpu") -> tuple[Tensor, int]:
    """Eigenvectors (N, count) by SciPy of any `@` operator in float32, and the products that it took."""
    size, products = operator.shape[0], 0

    def product(x: np.ndarray) -> np.ndarray:
        nonlocal products
        products += 1
        v = torch.from_numpy(np.ascontiguousarray(x.ravel(), dtype=np.float32)).to(device)
        return (operator @ v).cpu().numpy()

    start = torch.randn(size, generator=torch.Generator().manual_seed(0)).numpy()
    linear = LinearOperator((size, size), matvec=product, dtype=np.float32)
    _, vectors = eigsh(linear, count, which="LA", tol=tol, v0=start)
    return torch.from_numpy(np.ascontiguousarray(vectors)).to(device), products


def worst_residual(operator, vectors: Tensor) -> float:
    """Largest ‖Hu − (uᵀHu) u‖ of unit columns (N, r), over the largest |uᵀHu|, by `operator.matvec`."""
    values, norms = [], []
    for u in vectors.T:  # one by one: a block of them in float64 is large
        image, u = operator.matvec(u).double(), u.double()
        values.append((u @ image).item())
        norms.append((image - values[-1] * u).norm().item())
    return max(norms) / max(map(abs, values))
