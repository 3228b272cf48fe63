"""Weights by the kind of layer they belong to."""

from torch import Tensor, nn

from valleyscope.engine.weights import flatten, select_parameters, unflatten


def parameter_groups(model: nn.Module) -> dict[str, list[str]]:
    """Names of the weights by the kind of layer they belong to: "blocks.1.mlp.up.weight" is of "up"."""
    groups: dict[str, list[str]] = {}
    for name in select_parameters(model):
        parts = [part for part in name.split(".") if part not in ("weight", "bias")]
        groups.setdefault(parts[-1] if parts else name, []).append(name)
    return groups


def radial_part(model: nn.Module, weights: Tensor, direction: Tensor) -> Tensor:
    """The part of `direction` (N,) along the weights (N,) of each group: what changes norms alone.

    Along it a scale-invariant layer changes nothing but its scale.
    """
    parameters = select_parameters(model)
    W, d = unflatten(weights, parameters), unflatten(direction, parameters)
    result: dict[str, Tensor] = {}
    for names in parameter_groups(model).values():
        inner = sum((W[name] * d[name]).sum() for name in names)
        square = sum(W[name].square().sum() for name in names)
        result |= {name: W[name] * (inner / square) for name in names}
    return flatten(result[name] for name in parameters)
