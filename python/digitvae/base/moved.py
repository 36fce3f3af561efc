"""Import paths that documentation once named: they lead to where things are now."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

MOVED = {
    "digitvae.evaluate.run": "digitvae.evaluation.bundle",
    "digitvae.evaluation.run": "digitvae.evaluation.bundle",
    "digitvae.evaluate": "digitvae.evaluation",
    "digitvae.model": "digitvae.vae.model",
    "digitvae.objective": "digitvae.vae.objective",
    "digitvae.ray": "digitvae.generation.ray",
    "digitvae.runtime": "digitvae.engine.runtime",
    "digitvae.sinks": "digitvae.output",
    "digitvae.train": "digitvae.training.loop",
}
"""New names by the old ones, for each module and all modules below it."""


class Finder:
    """Finds a module under its earlier name: the same module, not a second one."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        """The module, if it has moved."""
        del path, target
        if not name.startswith("digitvae."):  # most: this is asked for every module of all Python
            return None
        for old, new in MOVED.items():
            if name == old or name.startswith(f"{old}."):
                loader = _Moved(new + name.removeprefix(old))
                return ModuleSpec(name, loader)  # type: ignore[arg-type]  # not by inheritance
        return None


class _Moved:
    """A loader. What it needs of ``importlib`` takes longer to import than all else here."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        from importlib import import_module

        del spec
        module = import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # which the import system has replaced

    def get_code(self, name: str) -> CodeType | None:
        """For ``python -m``."""
        from importlib.util import find_spec

        del name
        spec = find_spec(self._name)
        assert spec is not None
        return spec.loader.get_code(self._name)  # type: ignore[no-any-return,union-attr]


def install() -> None:
    """Have Python ask here first."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
