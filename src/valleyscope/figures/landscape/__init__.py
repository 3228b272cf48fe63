"""Figures of Paper A, one a module; `shared` holds what they have in common."""
