"""Other libraries' Hessian of a transformer's mean loss, and their eigensolvers, for comparison.

Each function imports the library that it is about, so that it works where the others are not installed.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from unittest.mock import patch

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from valleyscope.models.model import sequence_losses

MODULES = {"curvlinops": "curvlinops", "PyHessian": "pyhessian", "hessian-eigenthings": "hessian_eigenthings"}
POWER_STEPS = 50  # of power iteration, a pair


def missing() -> dict[str, str]:
    """Libraries that cannot be imported, and why."""
    found = {}
    for name, module in MODULES.items():
        try:
            import_module(module)
        except Exception as error:  # with another torch they may fail at anything
            found[name] = f"{type(error).__name__}: {error}"
    return found


def mean_token_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs.flatten(0, -2), targets.flatten())


def curvlinops_hessian(model: nn.Module, batch: Tensor):
    import curvlinops

    inputs, targets = batch[:, :-1], batch[:, 1:].flatten()
    return curvlinops.HessianLinearOperator(
        nn.Sequential(model, nn.Flatten(0, 1)),
        nn.CrossEntropyLoss(),
        list(model.parameters()),
        [(inputs, targets)],
        num_data=targets.numel(),
        batch_size_fn=lambda x: x.numel(),
        check_deterministic=False,
    )


def pyhessian_operator(model: nn.Module, batch: Tensor):
    import pyhessian

    pair = (batch[:, :-1], batch[:, 1:])
    model.zero_grad(set_to_none=True)  # it adds to what is there
    operator = pyhessian.hessian(model, mean_token_loss, data=pair, cuda=batch.is_cuda)
    model.zero_grad(set_to_none=True)  # its own copy holds the graph
    return operator


def eigenthings_operator(model: nn.Module, batch: Tensor):
    import hessian_eigenthings

    return hessian_eigenthings.HessianOperator(model, [batch], lambda m, b: sequence_losses(m, b).mean())


def pyhessian_product(model: nn.Module, batch: Tensor) -> Callable[[Tensor], Tensor]:
    from pyhessian.utils import hessian_vector_product

    operator = pyhessian_operator(model, batch)
    sizes = [p.numel() for p in operator.params]

    def product(v: Tensor) -> Tensor:
        pieces = [x.view(p.shape) for x, p in zip(v.split(sizes), operator.params, strict=True)]
        images = hessian_vector_product(operator.gradsH, operator.params, pieces)
        return torch.cat([x.flatten() for x in images])

    return product


PRODUCTS = {  # library -> (model, batch) -> v -> H v
    "curvlinops": lambda model, batch: curvlinops_hessian(model, batch).__matmul__,
    "PyHessian": pyhessian_product,
    "hessian-eigenthings": lambda model, batch: eigenthings_operator(model, batch).matvec,
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


def eigenthings_lanczos(
    model: nn.Module, batch: Tensor, count: int, tol: float, steps: int
) -> tuple[Tensor, int]:
    """The same by hessian-eigenthings, which stops after `steps` whatever the residuals are."""
    import hessian_eigenthings

    result = hessian_eigenthings.lanczos(
        eigenthings_operator(model, batch), k=count, max_iter=steps, tol=tol, which="LA",
        reorthogonalize=True, seed=0,
    )  # fmt: skip
    return result.eigenvectors.T, result.iterations


def pyhessian_power(model: nn.Module, batch: Tensor, count: int, tol: float) -> tuple[Tensor, int]:
    from pyhessian.utils import hessian_vector_product

    torch.manual_seed(0)
    operator, products = pyhessian_operator(model, batch), 0

    def product(*arguments):
        nonlocal products
        products += 1
        return hessian_vector_product(*arguments)

    with patch.object(sys.modules["pyhessian.hessian"], "hessian_vector_product", product):
        _, vectors = operator.eigenvalues(maxIter=POWER_STEPS, tol=tol, top_n=count)
    flat = [torch.cat([x.flatten() for x in pieces]).detach() for pieces in vectors]
    return torch.stack(flat, dim=1), products


def worst_residual(operator, vectors: Tensor) -> float:
    """Largest ‖Hu − (uᵀHu) u‖ of unit columns (N, r), over the largest |uᵀHu|, by `operator.matvec`."""
    values, norms = [], []
    for u in vectors.T:  # one by one: a block of them in float64 is large
        image, u = operator.matvec(u).double(), u.double()
        values.append((u @ image).item())
        norms.append((image - values[-1] * u).norm().item())
    return max(norms) / max(map(abs, values))
