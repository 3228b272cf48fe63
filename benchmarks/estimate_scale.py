"""Estimate time and memory of another configuration from the reference run's costs and counted operations.

    python benchmarks/estimate_scale.py --config configs/d6.yaml --out benchmarks/results/scale.csv

Floating-point operations of one sequence's gradient are counted on the meta device (torch's FlopCounterMode)
for both configurations, its bytes held for the backward pass likewise. A rule's operations are its seconds in
the reference run times the rate at which a gradient runs here, in one thread; they are scaled by the
operations of a sequence and by the work that the configuration asks for (sums over k, steps, sequences).
Time on the device is operations over --teraflops, a rate that must be sustained, and is inversely
proportional to it. Rules on other architectures keep their models and are left out.
"""

import argparse
import copy
import sys
import time
from pathlib import Path

import pandas as pd
import torch
import yaml
from snakemake.utils import update_config
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from dag.options import drift_grid
from valleyscope.artifacts import provenance, read_table, write_table
from valleyscope.models.model import ModelSettings, Transformer, sequence_losses

WEIGHTS = 4  # bytes


def built(config: dict, section: str, device: str) -> tuple[Transformer, torch.Tensor]:
    """A paper's model and one sequence."""
    settings = ModelSettings(vocab_size=config["data"]["vocab_size"], **config[section]["model"])
    with torch.device(device):
        tokens = torch.zeros(1, settings.context + 1, dtype=torch.long)
        return Transformer(settings), tokens


def counted(config: dict, section: str) -> dict[str, float]:
    """N, operations of one sequence's gradient, bytes held for its backward pass."""
    model, tokens = built(config, section, "meta")
    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    held = {}

    def pack(tensor):
        if tensor.untyped_storage()._cdata not in weights:
            held[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    with FlopCounterMode(display=False) as counter:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = sequence_losses(model, tokens).mean()
        loss.backward()
    size = sum(p.numel() for p in model.parameters())
    return {"size": size, "flops": counter.get_total_flops(), "held": sum(held.values())}


def rate(config: dict, section: str, repeats: int = 20) -> float:
    """Operations a second of a gradient of 64 sequences in one thread, the median of repeats."""
    torch.set_num_threads(1)
    model, tokens = built(config, section, "cpu")
    batch, seconds = tokens.expand(64, -1), []
    for _ in range(repeats):
        model.zero_grad()
        began = time.perf_counter()
        sequence_losses(model, batch).mean().backward()
        seconds.append(time.perf_counter() - began)
    return 64 * counted(config, section)["flops"] / sorted(seconds)[repeats // 2]


def work(config: dict) -> dict[str, float]:
    """What rules take time in proportion to, beside the model; 1 where it is not set by a size."""
    a, b = config["landscape"], config["connectivity"]
    trajectory, minimisers = sum(a["trajectory"]["k"]), sum(a["minimisers"]["k"])
    seen = a["training"]["epochs"] * a["sequences"]
    return {
        "find_eigenpairs": trajectory,
        "find_minimiser_eigenpairs": minimisers,
        "estimate_criteria": trajectory + minimisers,
        "train_language_model": seen,
        "find_minimisers": a["sequences"] - a["minimisers"]["centre_from"],  # what the centre is trained on
        "estimate_fixed_weights": max(a["trajectory"]["k"]),
        "train_minimum": b["training"]["adamw"]["epochs"],
        **{rule: descent(b["descent"], b["sequences"]) for rule in ("connect_minima", "relax_minima")},
        "measure_drift": sum(s["replicas"] * s["batch"] * s["steps"] for s in drift_grid(b["drift"])),
    }


def descent(settings: dict, sequences: int) -> int:
    """Sequences that one point sees."""
    return sum(s * (n or sequences) for s, n in zip(settings["steps"], settings["batches"], strict=True))


EIGENPAIRS = ["find_eigenpairs", "find_minimiser_eigenpairs"]
PAPER_A = [
    "train_language_model",
    "find_minimisers",
    "find_eigenpairs",
    "find_minimiser_eigenpairs",
    "estimate_criteria",
    "estimate_fixed_weights",
    "measure_expansion",
    "compare_estimators",
    "compare_subspaces",
    "map_geometry",
    "measure_spectrum",
    "compare_eigensolvers",
    "compare_procedures",
    "time_estimators",
]
PAPER_B = [
    "train_minimum",
    "relax_minima",
    "connect_minima",
    "profile_path",
    "measure_path_spectrum",
    "run_projected_sgd",
    "measure_drift",
    "predict_drift",
    "train_families",
    "compare_children",
    "evaluate_averages",
]


def memory(config: dict, section: str, one: dict[str, float]) -> dict[str, float]:
    """Bytes of the largest job of each rule; `memory_budget` bounds the graphs of an operator."""
    vector = WEIGHTS * one["size"]
    budget = config["memory_budget"]
    if section == "landscape":
        a = config[section]
        training = 4 * vector + a["training"]["batch"] * one["held"]  # weights, gradient, Adam's moments
        basis = 2 * (a["focus"]["eigenpairs"] + 8) * vector  # the smallest, and its images
        rules = {"train_language_model": training, "find_minimisers": training + budget}
        return dict.fromkeys(PAPER_A, budget) | rules | dict.fromkeys(EIGENPAIRS, basis + budget)
    b = config[section]
    gradients = 3 * b["sequences"] * vector  # of the samples, in float32 and float64
    training = 4 * vector + b["training"]["adamw"]["batch"] * one["held"]
    runs = b["dynamics"]["runs"].values()
    replicas = max(len(run["starts"]) * run["replicas"] for run in runs)
    seen = max(len(run["starts"]) * run["replicas"] * (run["sgd"]["batch"] or b["sequences"]) for run in runs)
    drift = b["drift"]["replicas_at_least_rate"]
    polygon = b["finders"]["polygon"]
    return dict.fromkeys(PAPER_B, budget) | {
        "train_minimum": training,
        "train_families": len(b["branching"]["settings"]["branches"]) * 2 * training,
        "predict_drift": gradients + budget,
        "profile_path": gradients + budget,
        "run_projected_sgd": 4 * replicas * vector + seen * one["held"],
        "measure_drift": gradients + 3 * drift * vector + drift * b["drift"]["batch"] * one["held"],
        "connect_minima": 4 * (polygon["degree"] + polygon["samples"]) * vector
        + polygon["samples"] * max(b["descent"]["batches"]) * one["held"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True, help="what differs from the reference run's")
    parser.add_argument(
        "--base", type=Path, default=Path("configs/default.yaml"), help="that of the reference"
    )
    parser.add_argument("--costs", type=Path, default=Path("results/reference/costs.csv"), help="its costs")
    parser.add_argument("--teraflops", type=float, default=20.0, help="sustained by the device, float32")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    args = parser.parse_args()
    base = yaml.safe_load(args.base.read_text(encoding="utf-8"))
    wanted = copy.deepcopy(base)
    update_config(wanted, yaml.safe_load(args.config.read_text(encoding="utf-8")))
    costs = read_table(args.costs, ["rule", "seconds"]).set_index("rule")["seconds"]
    missing = [rule for rule in (*PAPER_A, *PAPER_B) if rule not in costs]
    if missing:
        sys.exit(f"estimate_scale: error: {args.costs} has no {missing[0]}; make the reference run anew")
    rows = []
    for section, rules in (("landscape", PAPER_A), ("connectivity", PAPER_B)):
        small, large = counted(base, section), counted(wanted, section)
        speed, held = rate(base, section), memory(wanted, section, large)
        for rule in rules:
            more = work(wanted).get(rule, 1) / work(base).get(rule, 1) * large["flops"] / small["flops"]
            flops = costs[rule] * speed * more
            rows.append(
                {
                    "section": section,
                    "rule": rule,
                    "size": large["size"],
                    "sequence_flops": large["flops"],
                    "held": large["held"],
                    "seconds_reference": costs[rule],
                    "rate_reference": speed,
                    "flops": flops,
                    "hours": flops / args.teraflops / 1e12 / 3600,
                    "memory": held[rule],
                }
            )
    settings = {"config": args.config.name, "teraflops": args.teraflops}
    write_table(pd.DataFrame(rows), args.out, provenance(settings, [args.base, args.config, args.costs], 1))


if __name__ == "__main__":
    main()
