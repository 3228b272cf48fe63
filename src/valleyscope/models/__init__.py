"""The models that are studied, their data and their training."""
