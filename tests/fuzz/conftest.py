"""How the fuzzers search: the same examples each time, or, by `make fuzz`, many new ones."""

import os

from hypothesis import HealthCheck, settings

SEARCH = os.environ.get("VALLEYSCOPE_FUZZ") == "search"
CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

settings.register_profile(
    "repeat", max_examples=120, derandomize=True, deadline=None, suppress_health_check=CHECKS
)
settings.register_profile("search", max_examples=2000, deadline=None, suppress_health_check=CHECKS)
settings.load_profile("search" if SEARCH else "repeat")
