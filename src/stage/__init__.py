"""What the stages, the scripts beside this folder, share."""
