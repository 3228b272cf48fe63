"""Which figures there are: their section, title, tables with the columns they read, and thresholds they show.

Everything that names a figure reads it here: the DAG, the stage that draws, README, docs and report. No
figure is imported: a figure's rule depends on its own module and on its row.
"""

from dataclasses import dataclass

PAPERS = {
    "corpus": "Text and models",
    "landscape": "Paper A",
    "connectivity": "Paper B",
    "benchmarks": "Engine",
}
ROOMS = ("landscape", "connectivity")  # sections whose figures have a folder of their own


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        section: of the configuration (`benchmarks`: drawn by `make benchmark`, outside the DAG).
        title: what README, docs and report call it.
        tables: table -> the columns that it reads, words in one string; in the order `draw` takes them.
        limits: thresholds and windows of the configuration that `draw` takes as keywords.
    """

    section: str
    title: str
    tables: dict[str, str]
    limits: tuple[str, ...] = ()

    @property
    def paper(self) -> str:
        """Its heading in the report."""
        return PAPERS[self.section]

    def columns(self) -> list[list[str]]:
        """The columns it reads, a list a table."""
        return [words.split() for words in self.tables.values()]


def module_of(name: str) -> str:
    """The module that draws a figure."""
    section = FIGURES[name].section
    return f"valleyscope.figures.{section}.{name}" if section in ROOMS else f"valleyscope.figures.{name}"


def figures_of(section: str) -> list[str]:
    """Names of a section's figures, in the order of the catalogue."""
    return [name for name, figure in FIGURES.items() if figure.section == section]


FIGURES = {
    "decay": Figure(
        "landscape",
        "Decay with k (Fig. 2)",
        {
            "criteria": "regime seed k next criterion dim sigma estimator estimate",
            "fixed_weights": "regime seed k next criterion sigma estimate",
            "slopes": "regime next criterion dim sigma estimator seed slope",
            "validity": "regime seed quantity dim precision sigma_star",
        },
    ),
    "ratio": Figure(
        "landscape",
        "Ratio of subspace to full space (Fig. 3)",
        {
            "terms": "regime seed k next criterion dim sigma value slope curvature cross spread_ratio",
            "validity": "regime seed quantity dim precision sigma_star",
        },
        ("ratio", "spread_ratio"),
    ),
    "anatomy": Figure(
        "landscape",
        "Terms of the criterion",
        {
            "terms": "regime seed k next criterion dim sigma value slope curvature cross",
            "validity": "regime seed quantity dim precision sigma_star",
        },
    ),
    "captured": Figure(
        "landscape",
        "What subspaces see",
        {
            "subspaces": "regime seed k subspace dim sigma gradient_share chance spread_ratio",
            "index_sets": "regime seed k dim draw quadratic",
            "lemma5": "regime seed k nonnegative rank_correlation off_diagonal",
            "validity": "regime seed k quantity dim precision sigma_star",
        },
    ),
    "sequences": Figure(
        "landscape",
        "Sequences until one more changes little",
        {
            "sequences": "regime next criterion dim sigma epsilon seed k extrapolated",
        },
    ),
    "architectures": Figure(
        "landscape",
        "Other architectures (A11)",
        {
            "architectures": "architecture seed parameters rate_delta2 rate_fixed ratio_off shared_off spread_ratio gradient_share sigma_star",
            "architecture_costs": "architecture seed gradients",
            "architecture_losses": "architecture pair position train_loss",
            "architecture_curvature": "architecture pair position trace",
        },
        ("ratio", "spread_ratio", "middle"),
    ),
    "expansion": Figure(
        "landscape",
        "Error of the quadratic model (Fig. 4)",
        {
            "expansion": "regime seed k quantity dim precision sigma error signal",
            "validity": "regime seed k quantity dim precision sigma_star sigma_floor limit",
        },
    ),
    "precision": Figure(
        "landscape",
        "The ratio in three precisions",
        {
            "precision": "seed precision dim sigma regime k estimate variance",
            "validity": "regime seed k quantity dim precision sigma_star",
        },
        ("ratio",),
    ),
    "convergence": Figure(
        "landscape",
        "Monte Carlo against the closed form (Fig. 5)",
        {
            "estimators": "regime seed k dim sigma samples gaussian_moment direct quadratic difference value variance",
        },
        ("fig5",),
    ),
    "error_map": Figure(
        "landscape",
        "Error over D and σ (Fig. 6)",
        {
            "estimators": "regime seed k dim sigma samples gaussian_moment direct difference variance",
            "validity": "regime seed k dim quantity precision sigma_star",
        },
        ("fig6",),
    ),
    "geometry": Figure(
        "landscape",
        "The increment on a plane",
        {
            "geometry": "regime seed k x y true quadratic",
        },
    ),
    "cost": Figure(
        "landscape",
        "Cost by stage (Table 3)",
        {
            "timing": "procedure k stage estimator seconds products",
            "accuracy": "dim sigma samples direct direct_se quadratic_se difference difference_se",
        },
        ("rmse",),
    ),
    "published": Figure(
        "landscape",
        "The published procedure",
        {
            "published": "seed k procedure quantity value",
            "published_eigenvalues": "seed k procedure rank eigenvalue rayleigh",
            "timing": "procedure k stage gradients",
        },
        ("resolved",),
    ),
    "eigensolvers": Figure(
        "landscape",
        "Eigensolvers",
        {
            "eigensolvers": "seed k count solver setting products residual",
        },
    ),
    "spectrum": Figure(
        "landscape",
        "Spectrum and drift of the eigenspace",
        {
            "eigenvalues": "regime seed k rank eigenvalue residual",
            "spectrum": "seed k relative density negative",
            "drift": "seed k k_other weights_other dim overlap chance",
        },
    ),
    "valley": Figure(
        "connectivity",
        "The toy valley",
        {
            "valley_fits": "seed noise quantity step_size law coefficient chi2_dof",
            "valley_profile": "seed noise quantity step_size y value",
            "valley_trajectories": "seed particle t x y stiffness contrast temperature",
        },
    ),
    "path_profile": Figure(
        "connectivity",
        "Loss and curvature along paths (Fig. 2)",
        {
            "path_losses": "variant kind pair position train_loss held_out_loss",
            "path_curvature": "variant kind pair position trace trace_se fisher lambda_max",
            "paths": "variant kind pair length straight",
        },
        ("comparable", "middle"),
    ),
    "path_groups": Figure(
        "connectivity",
        "Curvature by group, scale taken out",
        {
            "path_groups": "variant kind pair position group norm trace trace_se radial",
            "path_curvature": "variant kind pair position trace",
        },
        ("middle", "resolved"),
    ),
    "path_spectrum": Figure(
        "connectivity",
        "Spectrum and gradient noise along the path",
        {
            "path_spectrum": "variant kind pair position eigenvalue density",
            "path_eigenvalues": "variant kind pair position rank eigenvalue residual",
            "path_curvature": "variant kind pair position square noise noise_square shared shared_se",
        },
        ("middle", "large"),
    ),
    "projected_sgd": Figure(
        "connectivity",
        "Projected SGD (Fig. 3)",
        {
            "projected_sgd": "pair run replica start step t_eff position loss",
            "path_losses": "variant kind pair position train_loss",
        },
        ("inside", "off_floor", "late"),
    ),
    "optimisers": Figure(
        "connectivity",
        "Optimisers against their fair partners",
        {
            "projected_sgd": "pair run replica start step t_eff position loss step_size",
            "path_losses": "variant kind pair position train_loss",
        },
        ("inside", "off_floor", "kept", "late", "reach"),
    ),
    "unprojected": Figure(
        "connectivity",
        "Without projection",
        {
            "projected_sgd": "pair run replica start step t_eff position distance loss",
            "path_losses": "variant kind pair position train_loss",
        },
        ("inside", "late"),
    ),
    "path_drift": Figure(
        "connectivity",
        "Drift, measured and predicted",
        {
            "path_drift": "pair position learning_rate batch steps displacement_se descent entropic followed followed_se",
            "path_drift_predicted": "pair position learning_rate batch steps predicted predicted_se",
            "drift_slopes": "pair learning_rate batch steps predictor slope chi2_dof",
        },
        ("slope",),
    ),
    "drift_sweeps": Figure(
        "connectivity",
        "Drift against B, η and m",
        {
            "drift_velocities": "pair learning_rate batch steps velocity predicted descent",
            "drift_exponents": "pair variable exponent predicted formula",
        },
        ("inside",),
    ),
    "branching": Figure(
        "connectivity",
        "Children of one run (Fig. 4)",
        {
            "children": "parent line branch position train_loss",
            "children_curvature": "parent branch position trace trace_se",
        },
        ("tolerances", "vanished", "lag", "resolved"),
    ),
    "averages": Figure(
        "connectivity",
        "Averages on held-out data",
        {
            "averages": "source repeat branch point train_loss held_out_loss scaled_loss accuracy trace",
        },
    ),
    "path_criteria": Figure(
        "connectivity",
        "Paper A's probe along Paper B's path",
        {
            "path_criteria": "variant kind pair position dim sigma value slope curvature cross variance",
            "path_curvature": "variant kind pair position trace",
        },
        ("middle",),
    ),
    "training": Figure(
        "corpus",
        "Loss curves",
        {
            "training_landscape": "samples seed train_loss held_out_loss",
            "training_minima": "variant step seed train_loss held_out_loss",
        },
    ),
    "engine": Figure(
        "benchmarks",
        "Cost of products and eigenpairs",
        {
            "products": "library operator way round gradients peak_bytes freed_memory compile_cold compile_warm error",
            "solvers": "library method round seconds gradients products residual",
            "growth": "axis parameters sequences pairs product_gradients products",
            "warm_starts": "k_before k cold_products warm_products block_products residual_of_old_vectors",
            "traces": "estimator quantity repeat estimate products",
        },
    ),
}
