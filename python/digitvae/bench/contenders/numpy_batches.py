"""Generation around a runtime from latents to pixels, as fast as NumPy can.

Each batch has its memory, which is used again and again: normals are drawn into it, the runtime
reads and writes it, and the pixels are scaled and rounded in it while they are in the cache. SFC64
is the fastest of NumPy's generators.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from digitvae.bench.contenders.trial import BATCHES, fastest

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]
    Images = npt.NDArray[np.uint8]
    Generate = Callable[[int], Any]

_SIDE = 28
_PIXELS = _SIDE * _SIDE


@dataclass(frozen=True)
class Stage:
    """Memory of one batch, bound to a runtime.

    Attributes:
        z: float32 [rows, 40], read by ``run``.
        x: float32 [rows, 784], written by ``run``.
        run: Decode ``z`` into ``x``.
    """

    z: FloatArray
    x: FloatArray
    run: Callable[[], object]


class Lane:
    """What one thread generates with: its own random numbers and its own memory."""

    def __init__(self, make_stage: Callable[[int], Stage]) -> None:
        self._make_stage = make_stage
        self._random = np.random.Generator(np.random.SFC64())
        self._stages: dict[int, Stage] = {}

    def fill(self, images: Images) -> None:
        """Generate one batch into uint8 [rows, 784]."""
        rows = len(images)
        stage = self._stages.get(rows)
        if stage is None:
            stage = self._stages[rows] = self._make_stage(rows)
        self._random.standard_normal(out=stage.z, dtype=np.float32)
        stage.run()
        np.multiply(stage.x, np.float32(255), out=stage.x)
        np.rint(stage.x, out=stage.x)
        images[...] = stage.x


def generator(make_stage: Callable[[int], Stage], batch: int, lanes: int = 1) -> Generate:
    """A function from a number of digits to uint8 [n, 28, 28].

    Args:
        make_stage: Memory for so many rows, bound to the runtime.
        batch: Rows of a batch.
        lanes: Python threads that generate batches at the same time: NumPy and the runtimes give
            up the interpreter while they work.
    """
    all_lanes = [Lane(make_stage) for _ in range(lanes)]
    pool = ThreadPoolExecutor(lanes) if lanes > 1 else None

    def generate(n: int) -> Images:
        images = np.empty((n, _PIXELS), np.uint8)

        def work(number: int) -> None:
            for start in range(number * batch, n, lanes * batch):
                all_lanes[number].fill(images[start : start + batch])

        if pool is None or n <= batch:
            work(0)
        else:
            list(pool.map(work, range(lanes)))
        return images.reshape(n, _SIDE, _SIDE)

    return generate


def best_generator(
    make_stage_with: Callable[[int], Callable[[int], Stage]], threads: int
) -> tuple[Generate, str]:
    """Try batch sizes, and who the threads belong to: the runtime, or Python.

    Args:
        make_stage_with: From the runtime's own number of threads to what makes its stages.
        threads: Threads that may be used.

    Returns:
        The fastest generator, and what it is in words.
    """
    candidates: dict[str, Generate] = {}
    own, single = make_stage_with(threads), make_stage_with(1)
    for batch in BATCHES:
        candidates[f"batches of {batch}"] = generator(own, batch)
        if threads > 1:
            name = f"batches of {batch} on {threads} Python threads"
            candidates[name] = generator(single, batch, threads)
    setting, generate = fastest(candidates)
    return generate, setting
