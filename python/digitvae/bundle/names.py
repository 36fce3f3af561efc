"""The names of a bundle's files, beside the forms of its networks (``decoder.pt2``, …)."""

from __future__ import annotations

MANIFEST = "manifest.json"
CARD = "README.md"
DECODER = "decoder.onnx"
ENCODER = "encoder.onnx"
PRIOR = "prior.onnx"
WEIGHTS = "weights.safetensors"
PRIOR_PARAMETERS = "prior.safetensors"
PARITY = "parity.json"
