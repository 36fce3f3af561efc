"""Float64 truth, and how far rounding can take a float32 evaluation from it."""
