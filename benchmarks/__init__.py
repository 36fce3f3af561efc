"""Benchmarks: every number that README or docs publish has its command here."""
