"""Loss and curvature along the straight line and the trained path between minima."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from valleyscope.plotting.style import (
    COLOURS,
    geometric_mean,
    log_interval,
    log_spread,
    new_figure,
)

KINDS = {"straight": COLOURS[1], "trained": COLOURS[0]}
QUANTITIES = {
    "train_loss": "training loss (nats per token)",
    "held_out_loss": "held-out loss (nats per token)",
    "trace": r"$\mathrm{Tr}\,H$ (nats)",
    "lambda_max": r"$\lambda_{\max}(H)$ (nats)",
}


def draw(losses: pd.DataFrame, curvature: pd.DataFrame) -> tuple[Figure, str]:
    """Four panels against position; thin lines are single pairs."""
    figure, axes = new_figure(4.4, rows=2, columns=2, sharex=True)
    for panel, (name, label) in zip(axes.flat, QUANTITIES.items(), strict=True):
        table = losses if name in losses else curvature
        positive = table[table[name] > 0]
        sns.lineplot(
            positive,
            x="position",
            y=name,
            hue="kind",
            palette=KINDS,
            estimator=geometric_mean,
            errorbar=log_interval,
            legend=panel is axes[0][0],
            ax=panel,
        )
        for (kind, _), rows in positive.groupby(["kind", "pair"]):
            panel.plot(rows["position"], rows[name], color=KINDS[kind], lw=0.5, alpha=0.6)
        panel.set(yscale="log", xlabel="position on the path (arc length)", ylabel=label)
    axes[0][0].legend(title="path")
    return figure, _caption(losses, curvature)


def middle_over_ends(table: pd.DataFrame, quantity: str) -> pd.Series:
    """Mean over positions in [0.4, 0.6] over the mean of both ends, by pair."""

    def ratio(rows: pd.DataFrame) -> float:
        values = rows.sort_values("position").set_index("position")[quantity]
        middle = abs(values.index - 0.5) < 0.1 + 1e-9
        return values[middle].mean() / values.iloc[[0, -1]].mean()

    return table.groupby("pair")[["position", quantity]].apply(ratio)


def barrier(losses: pd.DataFrame) -> pd.Series:
    """Highest training loss on the path over that of its higher end, by pair."""

    def ratio(rows: pd.DataFrame) -> float:
        values = rows.sort_values("position")["train_loss"]
        return values.max() / max(values.iloc[0], values.iloc[-1])

    return losses.groupby("pair")[["position", "train_loss"]].apply(ratio)


def _left_out(losses: pd.DataFrame, curvature: pd.DataFrame) -> str:
    """What a logarithmic axis cannot show, as a sentence, empty if nothing."""
    values = pd.concat([losses.filter(list(QUANTITIES)), curvature.filter(list(QUANTITIES))])
    count = int((values <= 0).sum().sum())
    return f"{count} values below 0 are not drawn. " if count else ""


def _caption(losses: pd.DataFrame, curvature: pd.DataFrame) -> str:
    trained, line = losses.query("kind == 'trained'"), losses.query("kind == 'straight'")
    bent = curvature.query("kind == 'trained'")
    lengths = [table.groupby("pair")["length"].first() for table in (trained, line)]
    dip = bent.groupby("pair")[["trace", "position"]].apply(
        lambda rows: rows["trace"].min() / rows.sort_values("position")["trace"].iloc[[0, -1]].mean()
    )
    return (
        "On the trained path the training loss rises to at most "
        f"{log_spread(barrier(trained))} times that of its higher end (straight line: "
        f"{log_spread(barrier(line))}), while Tr H in the middle (0.4 to 0.6) is "
        f"{log_spread(middle_over_ends(bent, 'trace'))} times and λ_max "
        f"{log_spread(middle_over_ends(bent, 'lambda_max'))} times their value at the ends; the lowest Tr H on the "
        f"path is {log_spread(dip)} times that at the ends. The path is "
        f"{log_spread(lengths[0] / lengths[1])} times as long as the line. Geometric mean and 95 % t-interval over "
        f"{bent['pair'].nunique()} independent pairs of minima; thin lines: single pairs; brackets hold intervals. "
        f"{_left_out(losses, curvature)}How much of a rise in curvature is mere scale is not "
        "separated here."
    )
