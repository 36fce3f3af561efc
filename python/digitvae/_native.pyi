"""The native core, raw: buffers in, buffers out. Public use goes through digitvae.engine.model."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from typing_extensions import Buffer

TILE_ROWS: int

def available_threads() -> int: ...
def philox4x32_10(
    c0: int, c1: int, c2: int, c3: int, k0: int, k1: int
) -> tuple[int, int, int, int]: ...
def uniform_from_word(word: int) -> float: ...
def normals_from_words(radius_word: int, angle_word: int) -> tuple[float, float]: ...
def fill_standard_normal(out: Buffer, *, dim: int, seed: int, first: int, stream: int) -> None: ...
def interpolate(
    a: Buffer, b: Buffer, out: Buffer, *, dim: int, steps: int, spherical: bool
) -> None: ...

class Runtime:
    def __init__(self, path: str) -> None: ...
    @property
    def path(self) -> str: ...
    @property
    def version(self) -> str: ...

Role: TypeAlias = Literal["network", "mixture", "any"]

def check_model(model: bytes, role: Role) -> None: ...

class _Network:
    def __init__(self, runtime: Runtime, model: bytes) -> None: ...
    @property
    def latent_dim(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def dataset(self) -> str: ...

class Mixture:
    def __init__(
        self, runtime: Runtime, model: bytes, *, optimized: bool | None = None
    ) -> None: ...
    @property
    def is_optimized(self) -> bool: ...
    @property
    def latent_dim(self) -> int: ...
    @property
    def labels(self) -> int: ...
    @property
    def dataset(self) -> str: ...

class Decoder(_Network):
    def __init__(
        self, runtime: Runtime, model: bytes, *, optimized: bool | None = None
    ) -> None: ...
    def is_optimized(self, rows: int) -> bool: ...
    def sample(
        self,
        out: Buffer,
        *,
        seed: int,
        first: int,
        threads: int,
        prior: Mixture | None = None,
        digits: Sequence[int] = (),
        truncation: float = 1.0,
        labels: Buffer | None = None,
    ) -> None: ...
    def latents(
        self,
        out: Buffer,
        *,
        seed: int,
        first: int,
        threads: int,
        prior: Mixture | None = None,
        digits: Sequence[int] = (),
        truncation: float = 1.0,
        labels: Buffer | None = None,
    ) -> None: ...
    def decode(self, z: Buffer, out: Buffer, *, threads: int) -> None: ...

class Encoder(_Network):
    def encode(self, x: Buffer, mu: Buffer, logvar: Buffer, *, threads: int) -> None: ...
