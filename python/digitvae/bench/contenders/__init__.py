"""What is compared: one module for each way to generate digits from a bundle.

Each module here has one function, :data:`Prepare`. It is only ever imported by the process that
measures it (:mod:`digitvae.bench.serve`), so it may import its framework at the top, after the
number of processors was limited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digitvae.bundle.folder import Bundle

OURS = "ours"
TORCHSCRIPT = "torchscript"


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

    generate: Callable[[int], Any]
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
        module: Where its ``prepare`` is.
        packages: What must be importable.
        install: The command that installs these.
        script: Its program for whole-process times in ``digitvae/bench/scripts``, if it has one.
    """

    name: str
    title: str
    module: str
    packages: tuple[str, ...] = ()
    install: str = ""
    script: str | None = None

    @property
    def has_program(self) -> bool:
        """Whether there is a program of it to run as a whole process."""
        return self.name == OURS or self.script is not None

    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed."""
        return tuple(name for name in self.packages if find_spec(name) is None)


def _contender(
    name: str,
    title: str,
    module: str,
    *packages: str,
    install: str = "",
    script: str | None = None,
) -> Contender:
    return Contender(name, title, f"{__name__}.{module}", packages, install, script)


_TORCH = "pip install 'digitvae[train]'"

ALL = (
    _contender(OURS, "digitvae", "ours"),
    _contender(
        "onnxruntime",
        "onnxruntime",
        "onnxruntime_python",
        "onnxruntime",
        install="pip install onnxruntime",
        script="with_onnxruntime.py",
    ),
    _contender(
        "torch", "torch eager", "torch_eager", "torch", install=_TORCH, script="with_torch.py"
    ),
    _contender(
        TORCHSCRIPT,
        "TorchScript",
        "torch_script",
        "torch",
        install=_TORCH,
        script="with_torchscript.py",
    ),
    _contender("compile", "torch.compile", "torch_compile", "torch", install=_TORCH),
    _contender(
        "openvino",
        "OpenVINO",
        "openvino_python",
        "openvino",
        install="pip install openvino",
        script="with_openvino.py",
    ),
    _contender("jax", "JAX", "jax_jit", "jax", install="pip install jax", script="with_jax.py"),
    _contender(
        "pythae", "pythae", "pythae_sampler", "pythae", "torch", install="pip install pythae"
    ),
)
"""All contenders, in the order of tables; the first is this package."""

NAMES = tuple(contender.name for contender in ALL)
