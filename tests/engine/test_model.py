"""Model: what it computes, that partitioning never shows, and what it refuses."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import digitvae as dv
from digitvae import _native
from digitvae.parity.checks import random_reference
from tests.support.processes import assert_ctrl_c_stops

TILE = _native.TILE_ROWS


def ort_session(model: dv.Model, name: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.bundle.read(name), options, providers=["CPUExecutionProvider"]
    )


def run_in_tiles(session: Any, rows: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """The engine's plan in Python: constant tiles, the last one zero-padded."""
    padded = np.zeros((-(-len(rows) // TILE) * TILE, rows.shape[1]), np.float32)
    padded[: len(rows)] = rows
    name = session.get_inputs()[0].name
    parts = [session.run(None, {name: padded[i : i + TILE]}) for i in range(0, len(padded), TILE)]
    return [np.concatenate(part)[: len(rows)] for part in zip(*parts, strict=True)]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 257, 1000])
def test_decoding_is_bit_equal_to_onnxruntime_on_the_same_tiles(
    model: dv.Model, count: int
) -> None:
    z = model.latents(count, seed=11)
    (expected,) = run_in_tiles(ort_session(model, "decoder.onnx"), z)
    found = model.decode(z, dtype="float32").reshape(count, -1)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("count", [1, 64, 257])
def test_encoding_is_bit_equal_to_onnxruntime_on_the_same_tiles(
    model: dv.Model, count: int
) -> None:
    x = model.sample(count, seed=2, dtype="float32").reshape(count, -1)
    expected_mu, expected_logvar = run_in_tiles(ort_session(model, "encoder.onnx"), x)
    found = model.encode(x)
    np.testing.assert_array_equal(found.mu.view(np.uint32), expected_mu.view(np.uint32))
    np.testing.assert_array_equal(found.logvar.view(np.uint32), expected_logvar.view(np.uint32))


def test_sampling_is_decoding_the_specified_latents(model: dv.Model) -> None:
    z = random_reference.standard_normal(77, 0, 0, 200, model.latent_dim)
    np.testing.assert_array_equal(model.latents(200, seed=77), z)
    np.testing.assert_array_equal(model.sample(200, seed=77), model.decode(z))


def test_bytes_are_255_times_intensity_rounded_half_to_even(model: dv.Model) -> None:
    x = model.sample(500, seed=1, dtype="float32")
    assert x.min() >= 0
    assert x.max() <= 1
    expected = np.rint(x * np.float32(255)).astype(np.uint8)
    np.testing.assert_array_equal(model.sample(500, seed=1), expected)


@given(
    first=st.integers(0, 400),
    count=st.integers(1, 200),
    threads=st.integers(1, 5),
    chunk=st.integers(1, 250),
    dtype=st.sampled_from(["uint8", "float32"]),
)
@settings(max_examples=40)
def test_any_range_threads_and_chunking_give_the_same_bits(
    model: dv.Model, first: int, count: int, threads: int, chunk: int, dtype: Any
) -> None:
    whole = model.sample(600, seed=5, dtype=dtype)
    part = model.sample(count, seed=5, first=first, threads=threads, dtype=dtype)
    np.testing.assert_array_equal(part, whole[first : first + count])
    chunks = list(
        model.stream(count, chunk=chunk, seed=5, first=first, threads=threads, dtype=dtype)
    )
    assert [len(piece) for piece in chunks[:-1]] == [chunk] * (len(chunks) - 1)
    np.testing.assert_array_equal(np.concatenate(chunks), part)


def test_two_processes_make_the_same_bits(model: dv.Model) -> None:
    script = (
        "import digitvae as dv, hashlib, sys;"
        "m = dv.load();"
        "sys.stdout.write(hashlib.sha256(m.sample(777, seed=3, first=10).tobytes()"
        " + m.latents(777, seed=3).tobytes()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    }
    assert len(digests) == 1
    assert len(digests.pop()) == 64


def test_importing_and_generating_never_imports_torch_or_onnxruntime() -> None:
    script = (
        "import sys, digitvae as dv;"
        "assert 'numpy' not in sys.modules;"
        "m = dv.load(); b = bytearray(784 * 3); m.sample_into(b, seed=1); assert any(b);"
        "assert 'numpy' not in sys.modules;"
        "x = m.sample(3, seed=1); assert x.tobytes() == bytes(b);"
        "m.decode(m.encode(x).mu); m.interpolate(m.latents(1)[0], m.latents(1, first=1)[0]);"
        "assert not {'torch', 'onnxruntime', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_results_have_the_documented_shapes_and_dtypes(model: dv.Model) -> None:
    z = model.latents(6)
    assert (z.shape, z.dtype.name) == ((6, 40), "float32")
    assert (model.height, model.width, model.pixels, model.latent_dim) == (28, 28, 784, 40)
    results: list[tuple[Any, tuple[int, ...]]]
    for dtype in ("uint8", "float32"):
        results = [
            (model.sample(5, dtype=dtype), (5, 28, 28)),
            (model.decode(z, dtype=dtype), (6, 28, 28)),
            (model.decode(z[0], dtype=dtype), (28, 28)),
            (model.decode(z[:0], dtype=dtype), (0, 28, 28)),
            (model.interpolate(z[0], z[1], 7, dtype=dtype), (7, 28, 28)),
            (model.interpolate(z[:3], z[3:], 2, dtype=dtype), (3, 2, 28, 28)),
        ]
        for found, shape in results:
            assert (found.shape, found.dtype.name) == (shape, dtype)
    images = model.sample(4)
    results = [
        (images, (4, 40)),
        (images.reshape(4, 784), (4, 40)),
        (images[0], (40,)),
        (images[0].reshape(784), (40,)),
    ]
    for x, shape in results:
        for found in model.encode(x):
            assert (found.shape, found.dtype.name) == (shape, "float32")


def test_encoding_bytes_equals_encoding_their_intensities(model: dv.Model) -> None:
    images = model.sample(100)
    from_bytes = model.encode(images)
    from_floats = model.encode(images.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(from_bytes.mu, from_floats.mu)
    np.testing.assert_array_equal(from_bytes.logvar, from_floats.logvar)


def test_views_that_are_not_contiguous_give_the_same_as_their_copies(model: dv.Model) -> None:
    z = model.latents(20)
    np.testing.assert_array_equal(model.decode(z[::2]), model.decode(z)[::2])
    fortran = np.asfortranarray(z)
    np.testing.assert_array_equal(model.decode(fortran), model.decode(z))


def test_out_is_filled_and_returned(model: dv.Model) -> None:
    z = model.latents(9, seed=1)
    calls: list[Callable[[Any], Any]] = [
        lambda out: model.sample(9, seed=1, out=out),
        lambda out: model.decode(z, out=out),
        lambda out: model.interpolate(z[0], z[1], 9, out=out),
    ]
    for call in calls:
        out = np.full((9, 28, 28), 123, np.uint8)
        assert call(out) is out
        np.testing.assert_array_equal(out, call(None))
    latents = np.empty((9, 40), np.float32)
    assert model.latents(9, seed=1, out=latents) is latents
    np.testing.assert_array_equal(latents, z)
    buffer = np.empty((4, 28, 28), np.uint8)
    copies = []
    for piece in model.stream(9, chunk=4, seed=1, out=buffer):
        assert piece.base is buffer
        copies.append(piece.copy())
    np.testing.assert_array_equal(np.concatenate(copies), model.sample(9, seed=1))


def test_interpolation_decodes_the_path_between_its_ends(model: dv.Model) -> None:
    a, b = model.latents(2, seed=8)
    steps = np.linspace(0, 1, 5)[:, None]
    line = ((1 - steps) * a.astype(np.float64) + steps * b.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(model.interpolate(a, b, 5), model.decode(line))
    omega = np.arccos(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b), dtype=np.float64)
    arc = (np.sin((1 - steps) * omega) * a + np.sin(steps * omega) * b) / np.sin(omega)
    np.testing.assert_allclose(
        model.interpolate(a, b, 5, method="slerp", dtype="float32"),
        model.decode(arc.astype(np.float32), dtype="float32"),
        atol=1e-5,
    )


BAD_CALLS: list[tuple[str, type[Exception], str]] = [
    ("m.sample(0)", ValueError, "n is 0, expected 1 to"),
    ("m.sample(-3)", ValueError, "n is -3"),
    ("m.sample(2**40 + 1)", ValueError, "expected 1 to"),
    ("m.sample(2.0)", TypeError, "n is 2.0, expected a whole number"),
    ("m.sample(True)", TypeError, "n is True"),
    ("m.sample(2, seed=-1)", ValueError, "seed is -1"),
    ("m.sample(2, seed=2**64)", ValueError, "seed is 18446744073709551616"),
    ("m.sample(2, seed='a')", TypeError, "seed is 'a'"),
    ("m.sample(2, first=2**64 - 1)", ValueError, "together beyond 2"),
    ("m.sample(2, threads=0)", ValueError, "threads is 0"),
    ("m.sample(2, dtype='int8')", ValueError, "dtype is 'int8'"),
    ("m.sample(2, out=np.empty((2, 28, 28), 'f4'))", ValueError, "expected uint8"),
    ("m.sample(2, out=np.empty((3, 28, 28), 'u1'))", ValueError, "expected uint8"),
    ("m.sample(2, out=np.empty((2, 28, 56), 'u1')[:, :, ::2])", ValueError, "C-contiguous"),
    ("m.sample(2, out=[1])", TypeError, "out is a list"),
    ("m.sample_into(bytearray(785))", ValueError, "785 values, expected a multiple of 784"),
    ("m.sample_into(bytes(784))", BufferError, "not writable|read-only|writable"),
    ("m.stream(5, chunk=0)", ValueError, "chunk is 0"),
    ("m.stream(5, dtype='int8')", ValueError, "dtype is 'int8'"),
    ("m.stream(5, threads=-1)", ValueError, "threads is -1"),
    ("m.latents(2, out=np.empty((2, 41), 'f4'))", ValueError, "expected float32"),
    ("m.decode(np.zeros((2, 39), 'f4'))", ValueError, "shape .2, 39., expected"),
    ("m.decode(np.zeros((2, 2, 40), 'f4'))", ValueError, "shape .2, 2, 40., expected"),
    ("m.decode(np.float32(3))", TypeError, "float32"),
    ("m.decode(np.zeros((2, 40)))", TypeError, "dtype float64, expected float32"),
    ("m.decode([[0.0] * 40])", TypeError, "z is a list"),
    ("m.decode(bad_z)", ValueError, "row 3, column 2 is nan"),
    ("m.decode(-np.inf * np.ones((1, 40), 'f4'))", ValueError, "row 0, column 0 is -inf"),
    ("m.decode(np.full((1, 40), 1e21, 'f4'))", ValueError, "is 1e.21"),
    ("m.encode(np.zeros((2, 28, 27), 'u1'))", ValueError, "shape .2, 28, 27., expected"),
    ("m.encode(np.zeros((2, 783), 'u1'))", ValueError, "expected"),
    ("m.encode(np.zeros((2, 784), 'i8'))", TypeError, r"int64.*astype\('uint8'\)"),
    ("m.encode(np.zeros((2, 784)))", TypeError, r"float64.*astype\('float32'\)"),
    ("m.encode(np.full((2, 784), 255, 'f4'))", ValueError, "row 0, column 0 is 255"),
    ("m.encode(np.full((2, 784), np.nan, 'f4'))", ValueError, "is nan"),
    ("m.encode(np.full((2, 784), -0.001, 'f4'))", ValueError, "row 0, column 0 is -0.001"),
    ("m.encode(z, out=(z, z))", ValueError, "expected"),
    ("m.encode(np.zeros((2, 784), 'u1'), out=(z, z[:1]))", ValueError, "expected float32 .2, 40."),
    ("m.interpolate(z[0], z[1], 1)", ValueError, "steps is 1, expected 2"),
    ("m.interpolate(z[0], z)", ValueError, "not the same"),
    ("m.interpolate(z[0], z[1], method='cubic')", ValueError, "method is 'cubic'"),
    ("m.interpolate(z, z4)", ValueError, "not the same"),
    ("m.interpolate(bad_z, z4)", ValueError, "row 3, column 2 is nan"),
    ("m.interpolate(z[0], -z[0], method='slerp')", ValueError, "opposite directions"),
]


@pytest.mark.parametrize(("call", "kind", "message"), BAD_CALLS, ids=[c[0] for c in BAD_CALLS])
def test_wrong_arguments_say_what_was_wrong(
    model: dv.Model, call: str, kind: type[Exception], message: str
) -> None:
    z4 = model.latents(4)
    bad_z = z4.copy()
    bad_z[3, 2] = np.nan
    names = {"m": model, "np": np, "z": model.latents(2), "z4": z4, "bad_z": bad_z}
    with pytest.raises(kind, match=message):
        eval(call, names)


def test_numpy_integers_are_whole_numbers(model: dv.Model) -> None:
    found = model.sample(np.int64(3), seed=np.uint64(4), first=np.int32(1))  # type: ignore[call-overload]
    np.testing.assert_array_equal(found, model.sample(3, seed=4, first=1))


def test_numpy_types_name_the_pixels_too(model: dv.Model) -> None:
    for dtype in (np.uint8, np.dtype("float32"), np.float32):
        found = model.sample(2, dtype=dtype)  # type: ignore[call-overload]
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, model.sample(2, dtype=np.dtype(dtype).name))  # type: ignore[call-overload]


def test_encoding_fills_the_arrays_it_is_given(model: dv.Model) -> None:
    images = model.sample(5)
    out = dv.Posterior(np.empty((5, 40), np.float32), np.empty((5, 40), np.float32))
    found = model.encode(images, out=out)
    assert found.mu is out.mu
    assert found.logvar is out.logvar
    np.testing.assert_array_equal(out.mu, model.encode(images).mu)
    np.testing.assert_array_equal(out.logvar, model.encode(images).logvar)


def test_a_pickled_model_is_the_same_model(model: dv.Model) -> None:
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.sample(5, seed=2), model.sample(5, seed=2))


def test_any_memory_of_bytes_or_floats_is_filled_and_misaligned_floats_are_refused(
    model: dv.Model,
) -> None:
    expected = model.sample(2, seed=3)
    numbers = (ctypes.c_uint8 * (2 * 784))()
    model.sample_into(numbers, seed=3)
    assert bytes(numbers) == expected.tobytes()
    floats = (ctypes.c_float * (2 * 784))()
    model.sample_into(floats, seed=3)
    assert bytes(floats) == model.sample(2, seed=3, dtype="float32").tobytes()
    odd = memoryview(bytearray(4 * 784 + 4))[1 : 1 + 4 * 784].cast("f")
    with pytest.raises(ValueError, match="multiple of four bytes"):
        model.sample_into(odd)


def test_threads_may_share_a_model(model: dv.Model) -> None:
    expected = model.sample(300, seed=6)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: model.sample(300, seed=6, threads=2), range(8)):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_generates_whatever_a_thread_did_when_it_was_forked() -> None:
    bundle = dv.load()  # of this test's own: its optimized twin is made in the midst of the forks
    expected = bundle.sample(100, seed=1)
    ended = threading.Event()

    def generate() -> None:
        while not ended.is_set():
            bundle.sample(300, seed=2, threads=2, prior="mixture")
            dv.load().sample(1)

    thread = threading.Thread(target=generate)
    thread.start()
    try:
        codes = [_in_child(bundle, expected) for _ in range(8)]
    finally:
        ended.set()
        thread.join()
    assert codes == [7] * 8


def _in_child(model: dv.Model, expected: np.ndarray[Any, Any]) -> int:
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            same = np.array_equal(model.sample(100, seed=1, threads=2), expected)
            os._exit(7 if same else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_ctrl_c_stops_a_long_call_in_the_middle() -> None:
    # One call for four million images into memory that is only mapped when it is written: had the
    # call not been cancelled, the last image would be there.
    script = (
        "import digitvae as dv, mmap, sys\n"
        "m = dv.load()\n"
        "buffer = mmap.mmap(-1, 784 * 2**22)\n"
        "sys.stdout.write('go\\n'); sys.stdout.flush()\n"
        "try:\n"
        "    m.sample_into(buffer)\n"
        "except KeyboardInterrupt:\n"
        "    assert any(buffer[:784]) and not any(buffer[-784:])\n"
        "    sys.stdout.write('stopped\\n')\n"
    )
    assert_ctrl_c_stops(script, after=0.3)
