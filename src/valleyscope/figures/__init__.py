"""Figures from tidy tables: `style` is shared, each other module draws one figure.

Every drawing function takes tables and returns (figure, caption); the caption states the finding with
numbers computed from the same tables.
"""
