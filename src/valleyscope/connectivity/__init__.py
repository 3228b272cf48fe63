"""Paper B: low-loss paths between minima, and what lies along them."""
