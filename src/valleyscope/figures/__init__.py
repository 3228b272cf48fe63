"""Figures from tidy tables: `style` is shared, each other module draws one figure.

Every drawing function takes tables, and by keyword the limits that it shows, and returns a Picture: the
figure, a caption that states the finding, and the other numbers, all from the same tables.
"""
