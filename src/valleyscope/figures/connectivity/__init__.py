"""Figures of Paper B, one a module; `shared` holds what they have in common."""
