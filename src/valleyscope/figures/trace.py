"""Loss, curvature and drift of SGD along one path of a user's model."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.style import COLOURS, new_figure
from valleyscope.readings.paths import barrier, middle_over_ends


def draw(losses: pd.DataFrame, curvature: pd.DataFrame, drift: pd.DataFrame) -> tuple[Figure, str]:
    """A panel each; the drift's is left out where none was measured."""
    figure, axes = new_figure(2.6, columns=3 if len(drift) else 2)
    axes[0].plot(losses["position"], losses["train_loss"], color=COLOURS[0], lw=1.2, label="training")
    if "held_out_loss" in losses:
        axes[0].plot(
            losses["position"], losses["held_out_loss"], "--", color=COLOURS[1], lw=1.2, label="held out"
        )
        axes[0].legend()
    axes[0].set(xlabel="position on the path", ylabel="loss", xlim=(0, 1))
    axes[0].set_title("Loss")
    errors = {"fmt": "o-", "ms": 3.5, "lw": 1, "capsize": 1.5, "color": COLOURS[2]}
    axes[1].errorbar(curvature["position"], curvature["trace"], 1.96 * curvature["trace_se"], **errors)
    axes[1].set(xlabel="position on the path", ylabel="Tr H", xlim=(-0.02, 1.02))
    axes[1].set_title("Curvature")
    if len(drift):
        errors |= {"color": COLOURS[3], "fmt": "o"}
        axes[2].errorbar(drift["position"], drift["entropic"], 1.96 * drift["displacement_se"], **errors)
        axes[2].axhline(0, color="0.6", lw=0.7, zorder=0)
        axes[2].set(xlabel="position on the path", ylabel="displacement", xlim=(0, 1))
        axes[2].set_title("Drift of SGD beyond descent")
    return figure, _caption(losses, curvature, drift)


def _caption(losses: pd.DataFrame, curvature: pd.DataFrame, drift: pd.DataFrame) -> str:
    rise = middle_over_ends(curvature.assign(pair=""), "trace").iloc[0]
    high = barrier(losses.assign(pair="")).iloc[0]
    told = (
        f"Tr H in the middle of the path is {rise:.3g} times its mean at the ends"
        if rise == rise
        else "Tr H is not above 0 at the ends"
    )
    moved = ""
    if len(drift):
        drift = drift[drift["position"] != 0.5]
        outward = drift["entropic"] * np.sign(drift["position"] - 0.5)
        sure = (outward.abs() > 1.96 * drift["displacement_se"]) * np.sign(outward)
        moved = (
            f" Minibatch noise moves SGD outward at {(sure == 1).sum()} and inward at {(sure == -1).sum()} of "
            f"{len(drift)} positions beside the middle, beyond 1.96 standard errors."
        )
    return (
        f"{told}; the highest loss is {high:.3g} times the higher end's.{moved} One path; bars: 1.96 standard errors over "
        "random vectors and replicas, not over pairs of minima."
    )
