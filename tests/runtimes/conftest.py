"""Tests of other releases of ONNX Runtime: `make test-runtimes`, which names them in RUNTIMES."""

import os

# They are fetched, so no other run of the tests has them.
collect_ignore = [] if os.environ.get("RUNTIMES") else ["test_runtimes.py"]
