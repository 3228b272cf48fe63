"""Paper A: what one more sample does to the landscape."""
