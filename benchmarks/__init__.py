"""Developers' benchmarks: each with its own command."""
