"""The ``onnxruntime`` package: sessions with bound memory, NumPy around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from digitvae.bench.contenders import Prepared
from digitvae.bench.contenders.numpy_batches import Stage, best_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from digitvae.bundle.folder import Bundle


def prepare(bundle: Bundle, threads: int) -> Prepared:
    """Try batch sizes, with the session's threads and with threads of Python's."""
    network = bundle.read("decoder.onnx")

    def stages(intra_op_threads: int) -> Callable[[int], Stage]:
        session = _session(network, intra_op_threads)
        return lambda rows: _bind(session, rows)

    generate, settings = best_generator(stages, threads)
    session = _session(network, threads)
    return Prepared(
        generate=generate,
        decode=lambda z: session.run(["x"], {"z": z})[0],
        versions={"onnxruntime": onnxruntime.__version__, "numpy": np.__version__},
        settings=settings,
    )


def _session(network: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def _bind(session: Any, rows: int) -> Stage:
    z = np.empty((rows, session.get_inputs()[0].shape[1]), np.float32)
    x = np.empty((rows, session.get_outputs()[0].shape[1]), np.float32)
    binding = session.io_binding()
    binding.bind_ortvalue_input("z", onnxruntime.OrtValue.ortvalue_from_numpy(z))
    binding.bind_ortvalue_output("x", onnxruntime.OrtValue.ortvalue_from_numpy(x))
    return Stage(z, x, lambda: session.run_with_iobinding(binding))
