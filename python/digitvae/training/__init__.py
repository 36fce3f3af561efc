"""Training: the loop, the run directory that it leaves, and several processes at once."""
