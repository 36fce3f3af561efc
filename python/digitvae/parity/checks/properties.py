"""What the native engine promises beyond numbers: the same bits however the work is cut."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digitvae.engine.model import Model
from digitvae.parity.compare.statistics import bits_differ, to_pixels
from digitvae.parity.inputs.sets import BATCHES, ink
from digitvae.parity.networks import DECODER, Float32, Function
from digitvae.parity.report.report import Check, first_line
from digitvae.parity.runtimes import onnx
from digitvae.parity.runtimes.native import NATIVE
from digitvae.parity.runtimes.onnx import ONNX_RUNTIME, ONNX_RUNTIME_TILES
from digitvae.parity.runtimes.pytorch import EAGER
from digitvae.parity.runtimes.runtime import Export

Finding = tuple[int, int]
"""How many of what was compared are wrong, and how many were compared."""

_ROWS = 1000
_PIXEL_ROWS = 10_000
_PROCESS_ROWS = 300
_PATIENCE = 300.0
"""Seconds for the other process: it needs half of one, and must not make anybody wait for ever."""
_THREADS = (1, 2, 3)
_INNER_PARTS = (slice(1, 65), slice(5, 135), slice(63, 65), slice(37, 294))
"""They begin inside a tile, so that rows stand elsewhere in it, and end in another one."""


def check_all(
    decoder: Export,
    encoder: Export,
    draws: Float32,
    images: NDArray[np.uint8] | None,
    batches: Sequence[int] = BATCHES,
) -> list[Check]:
    """Check the native engine's properties, and measure those of plain ONNX Runtime sessions.

    Args:
        decoder: The runtimes of the decoder, among them the engine, if it loads.
        encoder: The same of the encoder.
        draws: float32 [n, 40]: latents 0 … n−1 of seed 0.
        images: uint8 [m, 784]; ``None`` takes decoded draws.
        batches: Numbers of rows to compute at once.
    """
    decoders, encoders, model = decoder.functions, encoder.functions, decoder.engine
    few = draws[:_ROWS]
    pixels = to_pixels(decoders[EAGER](few)[0]) if images is None else images[:_ROWS]
    intensities = ink(pixels)
    parts = (*(slice(0, size) for size in batches), *_INNER_PARTS)
    checks = []
    if model is not None:
        decode, encode = decoders[NATIVE], encoders[NATIVE]
        properties = {
            "pixels lie in [0, 1]": partial(_outside, decode, draws[:_PIXEL_ROWS]),
            "uint8 is round-half-even of 255·x in float32": partial(
                _misrounded, model, decode, draws[:_PIXEL_ROWS]
            ),
            "sample is decode of latents, bit for bit": partial(
                _sampled_otherwise, model, decode, few
            ),
            "a uint8 image encodes as its pixels/255, bit for bit": partial(
                _encoded_otherwise, model, encode, pixels, intensities
            ),
            "a latent decodes to the same bits in any batch, anywhere in it": partial(
                _varying_rows, decode, few, parts
            ),
            "an image encodes to the same bits in any batch, anywhere in it": partial(
                _varying_rows, encode, intensities, parts
            ),
            "any number of threads gives the same bits": partial(_varying_threads, model, few),
        }
        checks = [_check(NATIVE, statement, find) for statement, find in properties.items()]
        if model.runtime_version != onnxruntime.__version__:
            # The comparison with the same library in Python cannot be made.
            used, here = model.runtime_version, onnxruntime.__version__
            detail = f"it uses {used}, the Python package is {here}"
            statement = f"has the bits of {ONNX_RUNTIME_TILES}"
            checks.append(Check(NATIVE, statement, "not run", detail))
    for functions, verb, rows in ((decoders, "decodes", few), (encoders, "encodes", intensities)):
        if ONNX_RUNTIME in functions:
            statement = f"{verb} a row to the same bits in any batch (nobody promises it)"
            find = partial(_varying_rows, functions[ONNX_RUNTIME], rows, parts)
            checks.append(_check(ONNX_RUNTIME, statement, find, promised=False))
    checks.append(
        _check(
            ONNX_RUNTIME,
            "decodes to the same bits on two threads (nobody promises it)",
            partial(_varying_session, decoder, few),
            promised=False,
        )
    )
    return checks


def _check(subject: str, statement: str, find: partial[Finding], *, promised: bool = True) -> Check:
    try:
        wrong, compared = find()
    except Exception as error:  # whatever a runtime raises, it does not do what it should
        return Check(subject, statement, "failed", first_line(error))
    check = Check.none_differ(subject, statement, wrong, compared)
    return check if promised else replace(check, status="measured")


def _outside(decode: Function, z: Float32) -> Finding:
    x = decode(z)[0]
    return int(np.count_nonzero(~((x >= 0.0) & (x <= 1.0)))), x.size


def _misrounded(model: Model, decode: Function, z: Float32) -> Finding:
    expected = to_pixels(decode(z)[0])
    found = model.decode(z, dtype="uint8").reshape(expected.shape)
    return int(np.count_nonzero(found != expected)), expected.size


def _sampled_otherwise(model: Model, decode: Function, z: Float32) -> Finding:
    expected = decode(z)[0]
    found = model.sample(len(z), seed=0, dtype="float32").reshape(expected.shape)
    return bits_differ(found, expected), expected.size


def _encoded_otherwise(
    model: Model, encode: Function, pixels: NDArray[np.uint8], intensities: Float32
) -> Finding:
    pairs = list(zip(model.encode(pixels), encode(intensities), strict=True))
    return sum(bits_differ(a, b) for a, b in pairs), sum(a.size for a, _ in pairs)


def _varying_rows(function: Function, rows: Float32, parts: Sequence[slice]) -> Finding:
    """Compare rows computed in parts with the same rows computed all at once."""
    reference = function(rows)
    different = compared = 0
    for part in parts:
        if part.stop > len(rows):
            continue
        outputs = function(rows[part])
        varying = np.zeros(len(outputs[0]), bool)
        for output, expected in zip(outputs, reference, strict=True):
            varying |= (output.view(np.uint32) != expected[part].view(np.uint32)).any(axis=1)
        different += int(varying.sum())
        compared += len(varying)
    return different, compared


def _varying_threads(model: Model, z: Float32) -> Finding:
    first, *others = (model.decode(z, dtype="float32", threads=n) for n in _THREADS)
    return sum(bits_differ(first, other) for other in others), first.size * len(others)


_ELSEWHERE = """
import sys
if sys.path[0] == "":
    del sys.path[0]  # what lies in the current folder must not take the place of a library
import hashlib
import digitvae
model = digitvae.load(sys.argv[1], ort_library=sys.argv[2])
images = model.sample(int(sys.argv[3]), seed=0, dtype="float32")
print(hashlib.sha256(images.tobytes()).hexdigest())
"""


class Elsewhere:
    """Another process that loads the same bundle and samples; compared by a hash of its floats.

    It starts with the object, and is ended at the end of its context, if it then still runs.
    """

    def __init__(self, model: Model) -> None:
        """Start it."""
        self._model = model
        arguments = (str(model.bundle.path), model.runtime_path, str(_PROCESS_ROWS))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _ELSEWHERE, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def check(self) -> Check:
        """Wait for it, and compare."""
        return _check(NATIVE, "another process samples the same bits", partial(self._compare))

    def _compare(self) -> Finding:
        out, error = self._process.communicate(timeout=_PATIENCE)
        if self._process.returncode != 0:
            last = (error.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"the other process failed: {last}")
        images = self._model.sample(_PROCESS_ROWS, seed=0, dtype="float32")
        return int(out.strip() != hashlib.sha256(images.tobytes()).hexdigest()), 1


def _varying_session(decoder: Export, z: Float32) -> Finding:
    content = decoder.read("onnx")
    one, two = (
        onnx.session_function(
            onnx.load_session(content, threads=threads), DECODER.input, DECODER.outputs
        )(z)[0]
        for threads in (1, 2)
    )
    return bits_differ(one, two), one.size
