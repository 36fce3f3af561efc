"""What the raw module makes of objects, sizes and interpreters that it was not made for."""

from __future__ import annotations

import contextlib
import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import digitvae as dv
from digitvae import _native
from digitvae.engine.runtime import open_runtime

CLASSES = (_native.Runtime, _native.Mixture, _native.Decoder, _native.Encoder)
ONE_IMAGE, ONE_LATENT = np.zeros((1, 784), np.float32), np.zeros((1, 40), np.float32)
CALLS: dict[str, dict[str, Any]] = {
    "is_optimized": {"rows": 1},
    "sample": {"out": ONE_IMAGE, "seed": 0, "first": 0, "threads": 1},
    "latents": {"out": ONE_LATENT, "seed": 0, "first": 0, "threads": 1},
    "decode": {"z": ONE_LATENT, "out": ONE_IMAGE, "threads": 1},
    "encode": {"x": ONE_IMAGE, "mu": ONE_LATENT, "logvar": ONE_LATENT.copy(), "threads": 1},
}


def use(thing: object, name: str) -> object:
    attribute = getattr(thing, name)
    return attribute(**CALLS[name]) if name in CALLS else attribute


def members(cls: Any) -> list[str]:
    return [name for name in vars(cls) if not name.startswith("_")]


def test_every_member_is_known_here(model: dv.Model) -> None:
    """With the right arguments, so that what follows is about the object alone."""
    encoder = _native.Encoder(open_runtime(), model.bundle.read("encoder.onnx"))
    for thing in (open_runtime(), model._networks.decoder, encoder):
        for name in members(type(thing)):
            use(thing, name)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_object_made_without_its_constructor_is_of_no_use(cls: Any) -> None:
    class Forgetful(cls):  # type: ignore[misc]
        def __init__(self) -> None:
            with contextlib.suppress(TypeError):
                super().__init__(None, b"")

    for thing in (cls.__new__(cls), Forgetful.__new__(Forgetful)):
        for name in members(cls):
            with pytest.raises(TypeError):
                use(thing, name)
        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                make(thing)
    with pytest.raises(TypeError):
        Forgetful()  # pybind11 itself sees to that


def test_a_constructor_that_failed_leaves_nothing_to_use(model: dv.Model) -> None:
    class Kept(_native.Decoder):
        def __init__(self) -> None:
            with pytest.raises(dv.BundleError):
                super().__init__(open_runtime(), b"no model")
            with pytest.raises(TypeError):
                _ = self.latent_dim

    with pytest.raises(TypeError):
        Kept()


def test_neither_runtime_nor_prior_may_be_such_an_object(model: dv.Model) -> None:
    content = model.bundle.read("decoder.onnx")
    runtimes: list[Any] = [None, _native.Runtime.__new__(_native.Runtime)]
    for runtime in runtimes:
        for cls in (_native.Decoder, _native.Encoder, _native.Mixture):
            with pytest.raises(TypeError):
                cls(runtime, content)
    prior = _native.Mixture.__new__(_native.Mixture)
    for name in ("sample", "latents"):
        with pytest.raises(TypeError):
            getattr(model._networks.decoder, name)(**CALLS[name], prior=prior)


@pytest.mark.parametrize("cls", CLASSES)
def test_none_is_no_object_either(cls: Any) -> None:
    for name in members(cls):
        found: Any = vars(cls)[name]
        with pytest.raises(TypeError):
            found(None, **CALLS[name]) if name in CALLS else found.fget(None)


HUGE = (2**31, 2**32, 2**32 + 1, 2**63, 2**64 - 1)
NONE_OR_TOO_MANY = (-1, -(2**63), 2**64, 2**128)


def interpolating(**sizes: int) -> Callable[[Any], None]:
    options = {"dim": 2, "steps": 2, **sizes}
    return lambda rows: _native.interpolate(rows, rows, rows, **options, spherical=False)


@pytest.mark.parametrize("rows", [np.empty(0, np.float32), np.zeros(8, np.float32)])
@pytest.mark.parametrize("size", [0, *HUGE, *NONE_OR_TOO_MANY])
def test_sizes_beyond_all_memory_are_refused_at_once(rows: Any, size: int) -> None:
    error = TypeError if size in NONE_OR_TOO_MANY else ValueError
    for call in (
        interpolating(dim=size),
        interpolating(steps=size),
        # Their product is 0, or 8, modulo 2⁶⁴.
        interpolating(dim=size, steps=2**33),
        interpolating(dim=8, steps=2**61 + 1),
        lambda rows: _native.fill_standard_normal(rows, dim=size, seed=0, first=0, stream=0),
    ):
        with pytest.raises((error, ValueError) if error is TypeError else error):
            call(rows)
    assert not rows.any()


@pytest.mark.parametrize("threads", [1025, 2**31, 2**32 - 1, 2**32, -1])
def test_threads_beyond_all_processors_are_refused_at_once(model: dv.Model, threads: int) -> None:
    error = ValueError if 0 <= threads < 2**32 else TypeError
    encoder = _native.Encoder(open_runtime(), model.bundle.read("encoder.onnx"))
    for thing, name in (
        (model._networks.decoder, "sample"),
        (model._networks.decoder, "latents"),
        (model._networks.decoder, "decode"),
        (encoder, "encode"),
    ):
        with pytest.raises(error):
            getattr(thing, name)(**CALLS[name] | {"threads": threads})


@pytest.mark.parametrize("rows", [0, 129, 2**32, 2**64 - 1])
def test_tiles_of_no_size_are_refused(model: dv.Model, rows: int) -> None:
    with pytest.raises(ValueError, match=f"rows is {rows}, expected 1 to 128"):
        model._networks.decoder.is_optimized(rows)


IN_A_SUB_INTERPRETER = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
from digitvae import _native
WORDS = '''
import digitvae
for attempt in range(2):
    try:
        digitvae.load()
    except ImportError as error:
        assert "subinterpreter" in str(error).replace("-", ""), error  # 3.13 says so itself
    else:
        raise AssertionError
'''
if "legacy" in sys.argv:
    import _testcapi
    assert _testcapi.run_in_subinterp(WORDS) == 0
else:
    made = interpreters.create()
    failed = interpreters.run_string(made, WORDS)  # raises before 3.13
    assert failed is None, failed.formatted
assert _native.uniform_from_word(1) > 0
"""


@pytest.mark.parametrize("kind", ["isolated", "legacy"])
def test_sub_interpreters_are_refused_and_do_not_hang(kind: str) -> None:
    if kind == "legacy":
        pytest.importorskip("_testcapi", reason="sub-interpreters as of Py_NewInterpreter")
    done = subprocess.run(
        [sys.executable, "-c", IN_A_SUB_INTERPRETER, kind],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
