"""What is compared: the ways to generate digits from a bundle.

Each has a function, :data:`Prepare`, which only the process that measures it calls
(:mod:`benchmarks.generation.worker`): its framework is imported there, after the number of
processors was limited.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from benchmarks.generation.correctness import read_weights

if TYPE_CHECKING:
    import numpy.typing as npt

    from digitvae.bundle.folder import Bundle

Setting = TypeVar("Setting")
Generate = Callable[[int], Any]

BATCHES = (64, 128, 256, 512, 1000, 2048, 4096)
"""Sizes to try for the batches that a large request is cut into."""

TRIAL_DIGITS = 8192
_TRIAL_ROUNDS = 3


@dataclass(frozen=True)
class Prepared:
    """A contender that is ready to run, at its best.

    Attributes:
        generate: From a number n ≥ 1 to n new digits, uint8 [n, 28, 28] in memory that no other
            call returns, random numbers included; pixels are 255·x rounded to the nearest.
        decode: From latents float32 [n, 40] to pixels float32 [n, 784] in [0, 1], by the same
            network as ``generate``: what is checked before anything is timed.
        versions: Of the packages that do the work, by name.
        settings: What was chosen by trial, in a few words.
    """

    generate: Generate
    decode: Callable[[Any], Any]
    versions: dict[str, str]
    settings: str = ""


Prepare = Callable[["Bundle", int], Prepared]
"""``prepare(bundle, threads)``: load the decoder for so many threads and try what is fastest."""


@dataclass(frozen=True)
class Contender:
    """What is known of a contender before it is loaded.

    Attributes:
        name: On the command line and in results.
        title: In tables.
        prepare: Where its :data:`Prepare` is, ``module:function``.
        packages: What must be importable.
        install: The command that installs these.
        program: Its program for whole-process times, which takes BUNDLE N OUT.npy: what follows
            ``python``. Ours is the command ``digitvae generate``.
    """

    name: str
    title: str
    prepare: str
    packages: tuple[str, ...] = ()
    install: str = ""
    program: tuple[str, ...] = ()

    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed."""
        return tuple(name for name in self.packages if find_spec(name) is None)


def fastest(generators: Mapping[Setting, Generate]) -> tuple[Setting, Generate]:
    """The setting whose generator makes some thousand digits in the least time.

    Args:
        generators: By setting, what generates so many digits. Each warms up, then they take turns.
    """
    least = dict.fromkeys(generators, float("inf"))
    for turn in range(_TRIAL_ROUNDS + 1):
        for setting, generate in generators.items():
            start = time.perf_counter()
            generate(TRIAL_DIGITS)
            if turn > 0:
                least[setting] = min(least[setting], time.perf_counter() - start)
    best = min(least, key=least.__getitem__)
    return best, generators[best]


@dataclass(frozen=True)
class Stage:
    """Memory of one batch, bound to a runtime.

    Attributes:
        z: float32 [rows, 40], read by ``run``.
        x: float32 [rows, 784], written by ``run``.
        run: Decode ``z`` into ``x``.
    """

    z: npt.NDArray[np.float32]
    x: npt.NDArray[np.float32]
    run: Callable[[], object]


def generator(
    make_stage: Callable[[int], Stage], bundle: Bundle, batch: int, lanes: int = 1
) -> Generate:
    """Generation around a runtime from latents to pixels, as fast as NumPy can.

    Each batch has its memory, which is used again and again: normals are drawn into it, the runtime
    reads and writes it, and the pixels are scaled and rounded in it while they are in the cache.
    SFC64 is the fastest of NumPy's generators.

    Args:
        make_stage: Memory for so many rows, bound to the runtime.
        bundle: Whose decoder it is.
        batch: Rows of a batch.
        lanes: Python threads that generate batches at the same time: NumPy and the runtimes give
            up the interpreter while they work.
    """

    def lane() -> Callable[[npt.NDArray[np.uint8]], None]:
        """One thread's function, with random numbers and memory of its own."""
        random = np.random.Generator(np.random.SFC64())
        stage_of = cache(make_stage)

        def fill(images: npt.NDArray[np.uint8]) -> None:
            stage = stage_of(len(images))
            random.standard_normal(out=stage.z, dtype=np.float32)
            stage.run()
            np.multiply(stage.x, np.float32(255), out=stage.x)
            np.rint(stage.x, out=stage.x)
            images[...] = stage.x

        return fill

    fills = [lane() for _ in range(lanes)]
    pool = ThreadPoolExecutor(lanes) if lanes > 1 else None
    height, width = size_of(bundle)

    def generate(n: int) -> Any:
        images = np.empty((n, height * width), np.uint8)

        def work(number: int) -> None:
            for start in range(number * batch, n, lanes * batch):
                fills[number](images[start : start + batch])

        if pool is None or n <= batch:
            work(0)
        else:
            list(pool.map(work, range(lanes)))
        return images.reshape(n, height, width)

    return generate


def best_generator(
    make_stage_with: Callable[[int], Callable[[int], Stage]], bundle: Bundle, threads: int
) -> tuple[str, Generate]:
    """Try batch sizes, and who the threads belong to: the runtime, or Python.

    Args:
        make_stage_with: From the runtime's own number of threads to what makes its stages.
        bundle: Whose decoder it is.
        threads: Threads that may be used.

    Returns:
        In words what is fastest, and its generator.
    """
    candidates: dict[str, Generate] = {}
    own, single = make_stage_with(threads), make_stage_with(1)
    for batch in BATCHES:
        candidates[f"batches of {batch}"] = generator(own, bundle, batch)
        if threads > 1:
            name = f"batches of {batch} on {threads} Python threads"
            candidates[name] = generator(single, bundle, batch, threads)
    return fastest(candidates)


def size_of(bundle: Bundle) -> tuple[int, int]:
    """Height and width of its images."""
    dims = bundle.manifest["dims"]
    return dims["height"], dims["width"]


def with_ours(bundle: Bundle, threads: int) -> Prepared:
    """This package: ``Model.sample``, whose random numbers are specified to the bit."""
    import digitvae as dv

    model = dv.load(bundle)
    seeds = itertools.count()
    return Prepared(
        generate=lambda n: model.sample(n, seed=next(seeds), threads=threads),
        decode=lambda z: model.decode(z, dtype="float32", threads=threads).reshape(len(z), -1),
        versions={"digitvae": dv.__version__, "libonnxruntime": model.runtime_version},
    )


def with_onnxruntime(bundle: Bundle, threads: int) -> Prepared:
    """The ``onnxruntime`` package: sessions with bound memory, with its threads or Python's."""
    import onnxruntime as ort

    network = bundle.read("decoder.onnx")

    def session_with(intra_op_threads: int) -> Any:
        options = ort.SessionOptions()
        options.intra_op_num_threads = intra_op_threads
        return ort.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    def bind(session: Any, rows: int) -> Stage:
        z = np.empty((rows, session.get_inputs()[0].shape[1]), np.float32)
        x = np.empty((rows, session.get_outputs()[0].shape[1]), np.float32)
        binding = session.io_binding()
        binding.bind_ortvalue_input("z", ort.OrtValue.ortvalue_from_numpy(z))
        binding.bind_ortvalue_output("x", ort.OrtValue.ortvalue_from_numpy(x))
        return Stage(z, x, lambda: session.run_with_iobinding(binding))

    settings, generate = best_generator(
        lambda intra_op_threads: partial(bind, session_with(intra_op_threads)), bundle, threads
    )
    session = session_with(threads)
    return Prepared(
        generate=generate,
        decode=lambda z: session.run(["x"], {"z": z})[0],
        versions={"onnxruntime": ort.__version__, "numpy": np.__version__},
        settings=settings,
    )


def with_openvino(bundle: Bundle, threads: int) -> Prepared:
    """OpenVINO's package: all threads on one request, or a stream for each thread."""
    import openvino as ov

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

    def bind(network: Any, rows: int) -> Stage:
        z = np.empty((rows, network.input(0).partial_shape[1].get_length()), np.float32)
        x = np.empty((rows, network.output(0).partial_shape[1].get_length()), np.float32)
        request = network.create_infer_request()
        request.set_input_tensor(ov.Tensor(z, shared_memory=True))
        request.set_output_tensor(ov.Tensor(x, shared_memory=True))
        return Stage(z, x, request.infer)

    settings, generate = best_generator(
        lambda threads_of_request: partial(bind, compiled(threads_of_request)), bundle, threads
    )
    network = compiled(threads)
    return Prepared(
        generate=generate,
        decode=lambda z: network(z)[0],
        versions={"openvino": ov.__version__.partition("-")[0], "numpy": np.__version__},
        settings=settings,
    )


def with_jax(bundle: Bundle, threads: int) -> Prepared:  # noqa: ARG001 (limited by processors)
    """JAX: random numbers, network, scaling and rounding in one compiled function.

    XLA takes as many threads as there are processors that the process may use. Batch sizes and
    JAX's generators of random bits are tried.
    """
    import jax
    from jax import numpy as jnp

    weights = {name: jnp.asarray(value) for name, value in read_weights(bundle).items()}
    height, width = size_of(bundle)

    def decode(z: Any) -> Any:
        hidden = z @ weights["decoder.hidden.weight"].T + weights["decoder.hidden.bias"]
        shown = jax.nn.relu(hidden) @ weights["decoder.output.weight"].T
        return jax.nn.sigmoid(shown + weights["decoder.output.bias"])

    @partial(jax.jit, static_argnums=1)
    def step(key: Any, rows: int) -> Any:
        key, drawn = jax.random.split(key)
        x = decode(jax.random.normal(drawn, (rows, bundle.latent_dim)))
        return key, jnp.rint(x * 255).astype(jnp.uint8)

    def generator_of(batch: int, bits: str) -> Generate:
        key = jax.random.key(0, impl=bits)

        def generate(n: int) -> Any:
            nonlocal key
            if n <= batch:  # JAX's own memory, new for each call
                key, part = step(key, n)
                return np.asarray(part).reshape(n, height, width)
            images = np.empty((n, height * width), np.uint8)
            for start in range(0, n, batch):
                key, part = step(key, min(batch, n - start))
                images[start : start + batch] = part
            return images.reshape(n, height, width)

        return generate

    settings, generate = fastest(
        {
            f"batches of {batch}, {bits} bits": generator_of(batch, bits)
            for bits in ("rbg", "threefry2x32")
            for batch in BATCHES
        }
    )
    checked = jax.jit(decode)
    return Prepared(
        generate=generate,
        decode=lambda z: np.asarray(checked(z)),
        versions={"jax": jax.__version__, "numpy": np.__version__},
        settings=settings,
    )


def _contender(
    name: str, title: str, *packages: str, module: str = __name__, install: str = "", program: bool
) -> Contender:
    words = (str(Path(__file__).with_name("programs.py")), name) if program else ()
    return Contender(name, title, f"{module}:with_{name}", packages, install, words)


_on_torch = partial(
    _contender,
    module="benchmarks.generation.torch_contenders",
    install="pip install 'digitvae[train]'",
)

OURS, TORCHSCRIPT = "ours", "torchscript"
ALL = (
    _contender(OURS, "digitvae", program=False),
    _contender(
        "onnxruntime",
        "onnxruntime",
        "onnxruntime",
        install="pip install onnxruntime",
        program=True,
    ),
    _on_torch("torch", "torch eager", "torch", program=True),
    _on_torch(TORCHSCRIPT, "TorchScript", "torch", program=True),
    _on_torch("compile", "torch.compile", "torch", program=False),
    _contender("openvino", "OpenVINO", "openvino", install="pip install openvino", program=True),
    _contender("jax", "JAX", "jax", install="pip install jax", program=True),
    _on_torch("pythae", "pythae", "pythae", "torch", install="pip install pythae", program=False),
)
"""All contenders, in the order of tables; the first is this package.

To add one: a function ``with_NAME`` here or in ``torch_contenders.py``, a line above, a colour and
a marker in ``plot.py``; for times of whole processes a function of that name in ``programs.py``.
"""

NAMES = tuple(contender.name for contender in ALL)
