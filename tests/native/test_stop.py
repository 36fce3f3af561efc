"""Calls end in the midst of one run of a model: a signal in Python, a callback in C."""

from __future__ import annotations

import ctypes as c
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import digitvae as dv
from digitvae import _native
from digitvae.bundle.folder import shipped_path
from digitvae.bundle.names import DECODER, ENCODER
from digitvae.engine.runtime import open_runtime
from tests.native import toy_models
from tests.support.bundles import altered

DVAE_CANCELLED = 6
AFTER = 0.3  # seconds: a run takes ten times as long


class StopError(Exception):
    """What the signal handler of these tests raises."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped one, whose networks take some seconds a run."""
    networks = {
        DECODER: toy_models.slow(("z", 40), ("x", 784)),
        ENCODER: toy_models.slow(("x", 784), ("mu", 40), ("logvar", 40)),
    }
    return altered(shipped_path(), tmp_path_factory.mktemp("slow") / "bundle", networks)


@pytest.fixture(scope="module")
def slow(bundle: Path) -> dv.Model:
    return dv.load(bundle)


def interrupt(call: Callable[[], Any]) -> None:
    """The call ends by a signal whose handler raises."""

    def handler(_number: int, _frame: object) -> None:
        raise StopError

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, AFTER)
        with pytest.raises(StopError):
            call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [1, 128, 300])
def test_a_signal_ends_samples_in_the_midst_of_a_run(
    slow: dv.Model, count: int, threads: int
) -> None:
    images = np.full((count, 28, 28), 9, np.uint8)
    interrupt(lambda: slow.sample(count, threads=threads, out=images))
    assert (images == 9).all()  # no run has come to its end


def test_a_signal_ends_other_calls_in_the_midst_of_a_run(slow: dv.Model) -> None:
    x = np.full((5, 28, 28), 9, np.float32)
    interrupt(lambda: slow.decode(np.zeros((5, 40), np.float32), dtype="float32", out=x))
    ends = np.eye(2, 40, dtype=np.float32)
    interrupt(lambda: slow.interpolate(ends[0], ends[1], steps=5, dtype="float32", out=x))
    interrupt(lambda: slow.sample(5, prior="mixture", digit=3, dtype="float32", out=x))
    assert (x == 9).all()
    mu, logvar = (np.full((5, 40), 9, np.float32) for _ in range(2))
    images = np.zeros((5, 28, 28), np.uint8)
    interrupt(lambda: slow.encode(images, out=dv.Posterior(mu, logvar)))
    assert (mu == 9).all()
    assert (logvar == 9).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_callback_of_c_ends_a_call_in_the_midst_of_a_run(bundle: Path, threads: int) -> None:
    library = c.CDLL(_native.__file__)
    progress_type = c.CFUNCTYPE(c.c_int32, c.c_void_p, c.c_uint64, c.c_uint64)

    class OpenOptions(c.Structure):
        _fields_ = (("struct_size", c.c_size_t), ("ort_library", c.c_char_p))

    class RunOptions(c.Structure):
        _fields_ = (
            ("struct_size", c.c_size_t),
            ("threads", c.c_uint32),
            ("reserved", c.c_uint32),
            ("progress", progress_type),
            ("context", c.c_void_p),
        )

    heard: list[tuple[int, int]] = []

    def progress(_context: int, done: int, total: int) -> int:
        heard.append((done, total))
        return int(len(heard) == 3)

    opening = OpenOptions(c.sizeof(OpenOptions), open_runtime().path.encode())
    options = RunOptions(c.sizeof(RunOptions), threads, 0, progress_type(progress), None)
    encoder = c.c_void_p()
    path = str(bundle / "encoder.onnx").encode()
    assert library.dvae_encoder_open(path, c.byref(opening), c.byref(encoder)) == 0
    images = np.zeros((300, 784), np.uint8)
    mu, logvar = (np.full((300, 40), 9, np.float32) for _ in range(2))
    status = library.dvae_encode_u8(
        encoder,
        images.ctypes.data_as(c.c_void_p),
        c.c_size_t(len(images)),
        mu.ctypes.data_as(c.c_void_p),
        logvar.ctypes.data_as(c.c_void_p),
        c.c_size_t(mu.nbytes),
        c.byref(options),
    )
    assert status == DVAE_CANCELLED
    assert heard == [(0, 300)] * 3
    assert not mu.any()
    assert not logvar.any()
    library.dvae_encoder_close(encoder)
