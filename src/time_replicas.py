"""Time a step of SGD for many replicas: in one batched computation, and as a loop over plain training steps.

Example:
    python src/time_replicas.py --threads 2 --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 64 --data-seed 0 --held-out-sequences 256 --replicas 32 --batch 4 --learning-rate 0.01 \\
        --repeats 5 --out replicas.csv
"""

import stage.arguments
import stage.problem

import pandas as pd
import torch

from valleyscope.artifacts import write_table
from valleyscope.engine.timing import seconds
from valleyscope.engine.weights import flat_weights, replica_gradients
from valleyscope.models.model import sequence_losses


def batched(model, data, replicas, batch, rate):
    """One step of all replicas at once."""
    gradients = replica_gradients(model, sequence_losses)
    weights = flat_weights(model).repeat(replicas, 1)

    def step():
        chosen = torch.randint(len(data), (replicas, batch))
        weights.sub_(rate * gradients(weights, data[chosen])[0])

    return step


def loop(model, data, replicas, batch, rate):
    """One step of one model after the other, as a training script does it."""
    optimiser = torch.optim.SGD(model.parameters(), rate)

    def step():
        for _ in range(replicas):
            optimiser.zero_grad()
            sequence_losses(model, data[torch.randint(len(data), (batch,))]).mean().backward()
            optimiser.step()

    return step


def main(args):
    data, _ = stage.problem.data(args)
    rows = []
    for name, way in (("batched", batched), ("loop", loop)):
        step = way(stage.problem.model(args), data, args.replicas, args.batch, args.learning_rate)
        rows += [
            {
                "repeat": repeat,
                "replicas": args.replicas,
                "batch": args.batch,
                "method": name,
                "seconds": taken,
            }
            for repeat, taken in enumerate(seconds(step, args.repeats, args.device))
        ]
    write_table(pd.DataFrame(rows), args.out, stage.arguments.meta(args, args.tokens))


if __name__ == "__main__":
    parser = stage.problem.parser(__doc__)
    parser.add_argument("--replicas", type=int, required=True, help="replicas in a step")
    parser.add_argument("--batch", type=int, required=True, help="samples a replica and step")
    parser.add_argument("--learning-rate", type=float, required=True, help="of the steps")
    stage.arguments.add(parser, "repeats")
    stage.arguments.add_files(parser, out="CSV, a row a repeat")
    stage.arguments.run(main, parser)
