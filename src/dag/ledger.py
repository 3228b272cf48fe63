"""What the claims need of the DAG: tables, thresholds and windows."""


def judged_tables() -> list[str]:
    """Names of the tables that the claims are judged from."""
    return [
        *("criteria", "terms", "points", "slopes", "validity", "estimators", "subspaces", "index_sets"),
        *("lemma5", "minimisers", "timing", "accuracy", "valley_fits", "path_losses", "path_curvature"),
        *("path_eigenvalues", "path_groups", "path_criteria", "projected_sgd", "drift_slopes"),
        *("drift_velocities", "drift_exponents", "children", "children_curvature", "averages"),
        *("architectures", "architecture_losses", "architecture_curvature"),
    ]


def judged_limits() -> list[str]:
    """Names of the thresholds and windows that the claims apply."""
    return [
        *(
            "rate",
            "slower",
            "ratio",
            "spread_ratio",
            "sigma_star",
            "disagreement",
            "evaluation",
            "end_to_end",
        ),
        *(
            "accuracy",
            "bound",
            "index_sets",
            "probe",
            "stationarity",
            "coefficient",
            "low_loss",
            "comparable",
        ),
        *("rise", "outward", "exponent", "faster", "vanished", "lag", "slope", "accuracy_gain"),
        *("loss_gain", "basin", "middle", "inside", "off_floor", "late", "reach", "along"),
        *("tolerances", "fig5", "fig6", "resolved"),
    ]
