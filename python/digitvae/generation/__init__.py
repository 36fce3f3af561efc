"""From a seed and a bundle to an output, here or on a cluster, and its check afterwards."""
