"""What the claims need of the DAG."""


def judged_tables() -> list[str]:
    """Names of the tables that the claims are judged from."""
    return [
        *("criteria", "terms", "points", "slopes", "validity", "estimators", "subspaces", "index_sets"),
        *("lemma5", "minimisers", "timing", "accuracy", "valley_fits", "path_losses", "path_curvature"),
        *("path_eigenvalues", "path_groups", "path_criteria", "projected_sgd", "drift_slopes"),
        *("drift_velocities", "drift_exponents", "children", "children_curvature", "averages"),
        *("architectures", "architecture_losses", "architecture_curvature"),
    ]
