"""Pages, tables and texts made from a finished run."""
