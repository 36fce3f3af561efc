"""OpenVINO's Python package on ``decoder.onnx``, in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov

from digitvae.bench.contenders import Prepared
from digitvae.bench.contenders.numpy_batches import Stage, best_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from digitvae.bundle.folder import Bundle


def prepare(bundle: Bundle, threads: int) -> Prepared:
    """Try batch sizes, with all threads on one request and with a stream for each thread."""
    core = ov.Core()
    model = core.read_model(bundle.read("decoder.onnx"))

    def compiled(threads_of_request: int) -> Any:
        one_request = threads_of_request == threads
        return core.compile_model(
            model,
            "CPU",
            {
                # Otherwise processors with bfloat16 compute something less exact, and faster.
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": threads,
                "PERFORMANCE_HINT": "LATENCY" if one_request else "THROUGHPUT",
                "NUM_STREAMS": threads // threads_of_request,
                "ENABLE_CPU_PINNING": False,
            },
        )

    def stages(threads_of_request: int) -> Callable[[int], Stage]:
        network = compiled(threads_of_request)
        return lambda rows: _bind(network, rows)

    generate, settings = best_generator(stages, threads)
    network = compiled(threads)
    return Prepared(
        generate=generate,
        decode=lambda z: network(z)[0],
        versions={"openvino": ov.__version__.partition("-")[0], "numpy": np.__version__},
        settings=settings,
    )


def _bind(network: Any, rows: int) -> Stage:
    z = np.empty((rows, network.input(0).partial_shape[1].get_length()), np.float32)
    x = np.empty((rows, network.output(0).partial_shape[1].get_length()), np.float32)
    request = network.create_infer_request()
    request.set_input_tensor(ov.Tensor(z, shared_memory=True))
    request.set_output_tensor(ov.Tensor(x, shared_memory=True))
    return Stage(z, x, request.infer)
