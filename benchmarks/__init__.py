"""Developers' benchmarks: what `digitvae bench` does not measure, each with its own command."""
