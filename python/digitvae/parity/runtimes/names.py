"""How reports call the runtimes, and which of them must agree to the last bit."""

from __future__ import annotations

from digitvae import _native

PART_ROWS = 37
"""Rows in a call of the engine whose calls are cut: no divisor or multiple of anything it uses."""

EAGER = "PyTorch eager"
TORCHSCRIPT = "TorchScript"
EXPORTED_PROGRAM = "ExportedProgram"
ONNX_RUNTIME_OFF = "ONNX Runtime, not optimized"
ONNX_RUNTIME_BASIC = "ONNX Runtime, basic"
ONNX_RUNTIME = "ONNX Runtime"
ONNX_RUNTIME_TILES = f"ONNX Runtime, tiles of {_native.TILE_ROWS}"
REFERENCE = "ONNX reference"
NATIVE = "native engine"
NATIVE_DENSE = "native engine, dense"
NATIVE_SPARSE = "native engine, sparse"
NATIVE_THREADS = "native engine, 3 threads"
NATIVE_PARTS = f"native engine, calls of {PART_ROWS}"
C_API = "C API"

RUNTIMES = (
    EAGER,
    TORCHSCRIPT,
    EXPORTED_PROGRAM,
    ONNX_RUNTIME,
    ONNX_RUNTIME_BASIC,
    ONNX_RUNTIME_OFF,
    ONNX_RUNTIME_TILES,
    REFERENCE,
    NATIVE,
    NATIVE_DENSE,
    NATIVE_SPARSE,
    NATIVE_THREADS,
    NATIVE_PARTS,
    C_API,
)

SAME_BITS = {
    TORCHSCRIPT: EAGER,
    NATIVE: ONNX_RUNTIME_TILES,
    NATIVE_DENSE: NATIVE,
    NATIVE_SPARSE: NATIVE,
    NATIVE_THREADS: NATIVE,
    NATIVE_PARTS: NATIVE,
    C_API: NATIVE,
}
"""Which runtime promises which other's bits."""
