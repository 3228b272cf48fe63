"""Loss, curvature and drift of SGD along one path of a user's model."""

import pandas as pd

from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.drift import NORMAL, directions


def draw(
    losses: pd.DataFrame, curvature: pd.DataFrame, drift: pd.DataFrame, *, barrier: float, rise: float
) -> Picture:
    """A panel each; the drift's is left out where none was measured.

    `barrier`: highest loss over the higher end's. `rise`: Tr H in the middle over its mean at the ends, NaN if
    that is not above 0.
    """
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
    axes[1].errorbar(curvature["position"], curvature["trace"], NORMAL * curvature["trace_se"], **errors)
    axes[1].set(xlabel="position on the path", ylabel="Tr H", xlim=(-0.02, 1.02))
    axes[1].set_title("Curvature")
    if len(drift):
        errors |= {"color": COLOURS[3], "fmt": "o"}
        axes[2].errorbar(drift["position"], drift["entropic"], NORMAL * drift["displacement_se"], **errors)
        axes[2].axhline(0, color="0.6", lw=0.7, zorder=0)
        axes[2].set(xlabel="position on the path", ylabel="displacement", xlim=(0, 1))
        axes[2].set_title("Drift of SGD beyond descent")
    return Picture(figure, _caption(drift, barrier, rise))


def _caption(drift: pd.DataFrame, barrier: float, rise: float) -> str:
    bent = (
        f"Tr H in the middle of the path is {rise:.3g} times its mean at the ends"
        if rise == rise
        else "Tr H is not above 0 at the ends"
    )
    moved = ""
    if len(drift):
        outward, inward, count = directions(drift)
        moved = (
            f" Minibatch noise moves SGD outward at {outward} and inward at {inward} of {count} positions beside the "
            f"middle, beyond {NORMAL:g} standard errors."
        )
    return (
        f"{bent}; the highest loss is {barrier:.3g} times the higher end's.{moved} One path; bars: {NORMAL:g} standard "
        "errors over random vectors and replicas, not over pairs of minima."
    )
