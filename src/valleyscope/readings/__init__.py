"""What tables say: numbers that claims and figures share, read with pandas alone."""
