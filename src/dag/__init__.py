"""What the Snakefile needs beside rules."""
