"""Tests of a Ray cluster, a real one of two nodes on this machine."""
