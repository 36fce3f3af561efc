"""Contenders in a hurry, or that do something wrong: the environment says whom and what."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any

import numpy as np
from benchmarks.generation import contenders
from benchmarks.generation.contenders import Prepared

from digitvae.bundle.folder import Bundle


def hurried(bundle: Bundle, threads: int) -> Prepared:
    """The one that HURRIED names, which makes few digits to choose its settings."""
    contenders.TRIAL_DIGITS = 256
    prepared: Prepared = resolve_name(os.environ["HURRIED"])(bundle, threads)
    return prepared


def prepare(bundle: Bundle, threads: int) -> Prepared:
    """Ours, made odd as ODD says."""
    right = contenders.with_ours(bundle, threads)
    behaviour = os.environ["ODD"]
    if behaviour == "raises":
        raise OSError("the model is not there")
    if behaviour == "dies":
        os.write(2, b"something terrible\n")
        os._exit(7)
    if behaviour == "chatters":
        print("hello from a library")  # noqa: T201
        os.write(1, b"and from below Python\n")
    if behaviour == "spins":
        threading.Thread(target=_spin, daemon=True).start()

    digits = right.generate(4096)

    def until_three(n: int) -> Any:
        if n == 3:  # is only asked for after all is checked
            raise MemoryError("no more")
        return right.generate(n)

    decode: dict[str, Callable[[Any], Any]] = {
        "slightly wrong": lambda z: right.decode(z) + np.float32(2e-5),
        "not a number": lambda z: right.decode(z) * np.float32("nan"),
        "too few": lambda z: right.decode(z)[:1],
    }
    generate: dict[str, Callable[[int], Any]] = {
        "floats": lambda n: right.generate(n).astype(np.float32),
        "the same": lambda n: digits[:n].copy(),
        "inverted": lambda n: 255 - right.generate(n),
        "dies later": until_three,
    }
    return replace(
        right,
        decode=decode.get(behaviour, right.decode),
        generate=generate.get(behaviour, right.generate),
    )


def _spin() -> None:
    while True:
        pass
