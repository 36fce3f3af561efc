"""A wrong native engine cannot be put into a bundle; here it takes the place of the right one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from digitvae import engine
from digitvae.parity import verify
from digitvae.parity.runtimes import NATIVE

from .faults import DRAWS, demand

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


def _truncating(
    self: engine.Model, z: Any, *, dtype: str = "uint8", threads: int | None = None
) -> Any:
    x = _decode(self, z, dtype="float32", threads=threads)
    return (x * np.float32(255)).astype(np.uint8) if dtype == "uint8" else x


def _unpadded(
    self: engine.Model, z: Any, *, dtype: Any = "uint8", threads: int | None = None
) -> Any:
    images = _decode(self, z, dtype=dtype, threads=threads)
    if len(z) % 64:
        images[-1] = images[0]
    return images


def _thread_dependent(
    self: engine.Model, z: Any, *, dtype: Any = "uint8", threads: int | None = None
) -> Any:
    images = _decode(self, z, dtype=dtype, threads=threads)
    if dtype == "float32" and threads == 3:
        images[0, 14, 14] = np.nextafter(images[0, 14, 14], np.float32(2))
    return images


def _position_dependent(
    self: engine.Model, z: Any, *, dtype: Any = "uint8", threads: int | None = None
) -> Any:
    images = _decode(self, z, dtype=dtype, threads=threads)
    if dtype == "float32":
        images[0, 14, 14] = np.nextafter(images[0, 14, 14], np.float32(2))
    return images


def _above_one(
    self: engine.Model, z: Any, *, dtype: Any = "uint8", threads: int | None = None
) -> Any:
    images = _decode(self, z, dtype=dtype, threads=threads)
    if dtype == "float32":
        images[0, 0, 0] = np.nextafter(np.float32(1), np.float32(2))
    return images


def _raising(self: engine.Model, z: Any, **_: Any) -> Any:
    raise MemoryError("no memory for the tiles")


def _not_a_number(
    self: engine.Model, z: Any, *, dtype: Any = "uint8", threads: int | None = None
) -> Any:
    images = _decode(self, z, dtype=dtype, threads=threads)
    if dtype == "float32":
        images[-1, 3, 3] = np.nan
    return images


_decode = engine.Model.decode

ENGINE_FAULTS: dict[str, tuple[Callable[..., Any], str]] = {
    "truncation instead of rounding": (_truncating, "uint8 is round-half-even"),
    "padding that leaks into the last row": (_unpadded, "decodes to the same bits in any batch"),
    "threads that change a bit": (_thread_dependent, "any number of threads"),
    "a row that knows its place": (_position_dependent, "decodes to the same bits in any batch"),
    "a pixel above one": (_above_one, "pixels lie in [0, 1]"),
    "an engine that raises": (_raising, "no memory for the tiles"),
    "a pixel that is not a number": (_not_a_number, "decoder x on prior draws: failed"),
}


@pytest.mark.parametrize("fault", ENGINE_FAULTS)
def test_a_fault_of_the_engine_is_caught_and_named(
    fault: str, tiny_bundle: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, words = ENGINE_FAULTS[fault]
    monkeypatch.setattr(engine.Model, "decode", decode)
    report = verify(tiny_bundle, draws=DRAWS, data_root=nowhere)
    demand(report, [words])
    assert all(NATIVE in str(failure) for failure in report.failures)
    json.dumps(report.to_dict(), allow_nan=False)


def test_sampling_other_latents_than_those_specified_is_caught(
    tiny_bundle: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = engine.Model.sample

    def off_by_one(self: engine.Model, n: int, *, seed: int = 0, dtype: Any = "uint8") -> Any:
        return honest(self, n, seed=seed, first=1, dtype=dtype)

    monkeypatch.setattr(engine.Model, "sample", off_by_one)
    demand(verify(tiny_bundle, draws=DRAWS, data_root=nowhere), ["sample is decode of latents"])


def test_an_engine_that_does_not_load_is_reported_and_the_rest_compared(
    tiny_bundle: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITVAE_ORT_LIBRARY", str(nowhere / "libonnxruntime.so"))
    report = verify(tiny_bundle, draws=DRAWS, data_root=nowhere)
    assert [str(f).split(":")[0] for f in report.failures] == [NATIVE]
    assert {c.status for c in report.comparisons} == {"passed"}


def test_an_engine_on_another_version_of_onnx_runtime_is_not_held_to_the_bits_of_this_one(
    tiny_bundle: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.Model, "runtime_version", property(lambda _: "1.21.0"))
    report = verify(tiny_bundle, draws=DRAWS, data_root=nowhere)
    assert report.passed, report.summary()
    assert [c for c in report.checks if c.status == "not run" and c.subject == NATIVE]
    assert all(c.same_bits_as is None for c in report.comparisons if c.runtime == NATIVE)
