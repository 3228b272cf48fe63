"""One model's criteria against σ, what they are made of, and what its eigenspace sees of the slope."""

import pandas as pd

from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.landscape import moments

MARKERS = {"gaussian_moment": "-", "quadratic": "s", "direct": "o"}
PARTS = ("value", "slope", "curvature")


def draw(table: pd.DataFrame, terms: pd.DataFrame) -> Picture:
    """Criteria with standard errors, terms of the widest subspace and of full space, share by D."""
    inside = terms[terms["criterion"] == "delta2_D"]
    dim, size = inside["dim"].max(), terms["dim"].max()
    figure, (criteria, parts, share) = new_figure(2.8, columns=3)
    for colour, (name, d) in zip(
        COLOURS, {"$\\Delta_2$": size, f"$\\Delta_2^{{({dim})}}$": dim}.items(), strict=False
    ):
        for estimator, style in MARKERS.items():
            rows = table[(table["estimator"] == estimator) & (table["dim"] == d)]
            label = name if estimator == "gaussian_moment" else None
            if style == "-":
                criteria.plot(rows["sigma"], rows["estimate"], color=colour, lw=1, label=label)
            else:
                errors = rows["standard_error"]
                options = {
                    "fmt": style,
                    "ms": 3.5,
                    "mfc": "w" if style == "s" else colour,
                    "capsize": 1.5,
                    "lw": 0.8,
                }
                criteria.errorbar(rows["sigma"], rows["estimate"], errors, color=colour, **options)
    criteria.set(xscale="log", yscale="log", xlabel="$\\sigma$", ylabel="E $\\delta^2$ (squared loss)")
    criteria.set_title("Line: closed form; points: sampled")
    criteria.legend()
    for colour, part in zip(COLOURS[2:], PARTS, strict=False):
        for d, style in ((size, "-"), (dim, "--")):
            rows = terms[(terms["dim"] == d) & (terms[part] > 0)]
            label = {"value": "$a^2$"}.get(part, part) if style == "-" else None
            parts.plot(
                rows["sigma"], rows[part], style, color=colour, lw=1.2, marker="o", ms=2.5, label=label
            )
    parts.set(xscale="log", yscale="log", xlabel="$\\sigma$", ylabel="term of E $\\delta^2$")
    parts.set_title(f"Solid: full space; dashed: D = {dim}")
    parts.legend()
    by_dim = inside.drop_duplicates("dim").sort_values("dim")
    share.plot(by_dim["dim"], by_dim["gradient_share"], "o-", color=COLOURS[0], ms=3.5, lw=1, label="top-D")
    share.plot(by_dim["dim"], by_dim["chance"], ":", color="0.5", label="chance, D/N")
    share.set(xscale="log", yscale="log", xlabel="D", ylabel="share of $\\|\\Delta g\\|^2$")
    share.set_title("Captured share")
    share.legend()
    return Picture(figure, *_told(table, terms, dim, size))


def _told(table: pd.DataFrame, terms: pd.DataFrame, dim: int, size: int) -> tuple[str, dict[str, str]]:
    """Caption and numbers, at the smallest σ."""
    sigma = terms["sigma"].min()
    rows = terms[terms["sigma"] == sigma].set_index("dim")
    whole = moments(rows)
    full = table[table["dim"] == size].pivot(index="sigma", columns="estimator", values="estimate")
    gap = ((full["direct"] - full["gaussian_moment"]).abs() / full["gaussian_moment"]).max()
    caption = (
        f"At σ = {sigma:g} the top-{dim} eigenspace's ratio Δ₂^(D)/Δ₂ is {whole[dim] / whole[size]:.4g}, of which a², "
        f"shared by every probe, makes {rows['value'][size] / whole[size]:.3g} of Δ₂; what the probe adds beyond the point "
        f"(its spread) is {rows['spread_ratio'][dim]:.2g} of full space's, and it holds {rows['gradient_share'][dim]:.2g} of "
        f"the slope (chance {dim / size:.2g}). One next sample, N = {size:,}; bars: standard errors over the draws, not over "
        "samples or seeds."
    )
    return caption, {
        "direct Monte Carlo in full space off the closed form, at any σ, at most": f"{gap:.2g}",
    }
