"""Checks of what callers pass to the engine: shapes, dtypes, ranges, before any work."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

PixelType = Literal["uint8", "float32"]
_PIXEL_TYPES = get_args(PixelType)
PriorName = Literal["standard", "mixture"]
"""N(0, I), as the model defines it, or the class-conditional mixture of the bundle's prior.onnx."""

MAX_COUNT = 1 << 40
MAX_INDEX = (1 << 64) - 1
MAX_THREADS = 1024


def as_array(value: object, name: str, dtypes: tuple[str, ...]) -> Array:
    """A C-contiguous array of one of ``dtypes``; TypeError for anything else."""
    import numpy as np

    expected = " or ".join(dtypes)
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a NumPy array of {expected}")
    if value.dtype.name not in dtypes:
        raise TypeError(
            f"{name} has dtype {value.dtype}, expected {expected}; convert it with "
            f"{name}.astype({dtypes[0] if value.dtype.kind in 'iub' else dtypes[-1]!r})"
        )
    return np.ascontiguousarray(value)


def pixel_type(dtype: object) -> PixelType:
    """``"uint8"`` or ``"float32"``, also given as NumPy's type or dtype of that name."""
    name = dtype if isinstance(dtype, str) else ""  # NumPy's types take ten times as long
    if name not in _PIXEL_TYPES:
        import numpy as np

        with suppress(TypeError, ValueError, SyntaxError):
            name = np.dtype(dtype).name  # type: ignore[call-overload]
    if name not in _PIXEL_TYPES:
        raise ValueError(f"dtype is {dtype!r}, expected 'uint8' or 'float32'")
    return cast("PixelType", name)


def output(out: Array | None, shape: tuple[int, ...], dtype: str) -> Array:
    """The caller's ``out`` if it fits exactly, or a new array; ValueError, TypeError otherwise."""
    import numpy as np

    dtype = pixel_type(dtype)
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}, expected a NumPy array of {dtype}")
    # Compared as they are: to ask a dtype for its name takes as long as a third of a digit.
    if out.shape != shape or out.dtype != np.dtype(dtype):
        raise ValueError(f"out is {out.dtype} {out.shape}, expected {dtype} {shape}")
    flags = out.flags
    if not flags.c_contiguous or not flags.writeable:
        raise ValueError("out must be C-contiguous and writeable")
    return out


def whole(value: object, name: str, low: int, high: int) -> int:
    """Accept whole numbers of any kind (int, numpy.int64, …) in [low, high]; bool is none."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is {value!r}, expected a whole number") from None
    if not low <= number <= high:
        raise ValueError(f"{name} is {number}, expected {low} to {high}")
    return number


def flag(value: object, name: str) -> bool:
    """Accept True and False, NumPy's too, and no number in their place."""
    if type(value).__name__ not in ("bool", "bool_"):
        raise TypeError(f"{name} is {value!r}, expected True or False")
    return bool(value)


def path_text(path: object, name: str = "path") -> str:
    """The text of a path; TypeError for anything else, bytes included."""
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str):
        raise TypeError(f"{name} is {path!r}, expected text or a pathlib.Path")
    if "\0" in text:
        raise ValueError(f"{name} is {text!r}, expected a path without NUL")
    return text


def check_cluster(cluster: object) -> None:
    """The address of a cluster, or none."""
    if cluster is not None and not isinstance(cluster, str):
        raise TypeError(f"cluster is {cluster!r}, expected 'auto' or 'HOST:PORT'")
    if cluster == "":
        raise ValueError("cluster is '', expected 'auto' or 'HOST:PORT'")


def check_progress(progress: object) -> None:
    """A function, before anything is made that it would be told of."""
    if not callable(progress):
        raise TypeError(f"progress is {progress!r}, expected a function")


def check_count(n: object, name: str = "n") -> int:
    """A number of images, 1 … MAX_COUNT."""
    return whole(n, name, 1, MAX_COUNT)


def check_first(first: object, n: int) -> int:
    """A first index, such that ``n`` images fit into 2⁶⁴."""
    checked = whole(first, "first", 0, MAX_INDEX)
    if checked + n - 1 > MAX_INDEX:
        raise ValueError(f"first is {checked} and n is {n}: together beyond 2**64 images")
    return checked


def check_threads(threads: object) -> int:
    """A number of worker threads as the native module takes it: 0 stands for all available."""
    return 0 if threads is None else whole(threads, "threads", 1, MAX_THREADS)


def check_prior(prior: object, digit: object) -> PriorName:
    """The prior that is meant: asking for a digit is asking for the mixture."""
    if not isinstance(prior, str) or prior not in ("standard", "mixture"):
        raise ValueError(f"prior is {prior!r}, expected 'standard' or 'mixture'")
    return "standard" if prior == "standard" and digit is None else "mixture"


def check_truncation(truncation: object) -> float:
    """A factor for the noise, 0 to 1."""
    if isinstance(truncation, bool) or not hasattr(truncation, "__float__"):
        raise TypeError(f"truncation is {truncation!r}, expected a number from 0 to 1")
    try:
        number = float(truncation)
    except (TypeError, ValueError):  # an array of several, for instance
        raise TypeError(f"truncation is {truncation!r}, expected a number from 0 to 1") from None
    if not 0 <= number <= 1:  # which NaN is not, either
        raise ValueError(f"truncation is {number}, expected 0 to 1")
    return number


def check_digits(digit: object, labels: int | None = None) -> tuple[int, ...]:
    """The classes that images take in turn, each 0 … labels−1; none for any class.

    Where ``labels`` is not known yet, only their types are checked.
    """
    low, high = (-MAX_INDEX, MAX_INDEX) if labels is None else (0, labels - 1)
    if digit is None:
        return ()
    if isinstance(digit, (str, bytes)) or not hasattr(digit, "__len__"):
        return (whole(digit, "digit", low, high),)
    digits = tuple(whole(each, "digit", low, high) for each in cast("Sequence[object]", digit))
    if not digits:
        raise ValueError("digit is an empty sequence, expected at least one; None means any digit")
    return digits
