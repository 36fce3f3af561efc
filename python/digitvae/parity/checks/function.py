"""Whether a module is one function of its inputs, which is all that an exported file can hold."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from digitvae.base.errors import ParityError
from digitvae.parity.networks import Float32
from digitvae.parity.report.report import Check

_TORCH = str(Path(torch.__file__).parent)
_READS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default)
"""What turns numbers of a tensor into numbers of Python."""


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes where numbers that come from the inputs are looked at, and what draws random ones.

    Attributes:
        branches: Places in the module's source, and their lines.
        random: Operators that draw, and where.
    """

    def __init__(self, *inputs: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.branches: list[str] = []
        self.random: dict[str, str] = {}
        # By storage, so that views count, too; kept, so that no address is used again.
        self._derived = {_place_of(tensor): tensor for tensor in inputs}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run one operator, and note what it is."""
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        derived = any(_place_of(tensor) in self._derived for tensor in given)
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.random.setdefault(str(func), _line())
        if derived and func in _READS and (line := _line()) not in self.branches:
            self.branches.append(line)
        result = func(*args, **(kwargs or {}))
        if derived:
            changed = given[:1] if func._schema.is_mutable else []
            for tensor in (*tree_leaves(result), *changed):
                if isinstance(tensor, Tensor):
                    self._derived[_place_of(tensor)] = tensor
        return result


def _place_of(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _line() -> str:
    """The innermost line that is neither PyTorch's nor ours: ``model.py:12: if x.any()``."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_TORCH, __file__)):
        frame = frame.f_back
    path, number = frame.f_code.co_filename, frame.f_lineno
    return f"{Path(path).name}:{number}: {linecache.getline(path, number).strip()}".removesuffix(
        ": "
    )


def branches_of(
    module: torch.nn.Module, compute: Callable[[Float32], tuple[Float32, ...]], rows: Float32
) -> list[str]:
    """Lines of a module that look at numbers which come from its inputs.

    Args:
        module: The module.
        compute: The same as a function of arrays.
        rows: float32 [n, …].

    Raises:
        ParityError: It does not give the same outputs twice, of which no export can hold both.
    """
    first, second = compute(rows), compute(rows)
    inputs = torch.from_numpy(rows)
    with torch.no_grad(), _Watch(inputs) as watch:
        module(inputs)
    if any(a.tobytes() != b.tobytes() for a, b in zip(first, second, strict=True)):
        if not watch.random:
            raise ParityError(
                "the module gives other outputs when it is called again with the same inputs: it "
                "keeps something between calls, which no export does"
            )
        drawn = "; ".join(f"{name} at {line}" for name, line in watch.random.items())
        raise ParityError(f"the module draws random numbers ({drawn}): make the noise an input")
    branches: list[str] = watch.branches
    return branches


def check_branches(file: str, branches: list[str], *, kept: bool) -> list[Check]:
    """Say that a file holds one path where the module has several.

    Args:
        file: Name of the file.
        branches: Lines of the module that look at numbers.
        kept: Whether the file has branches of its own.
    """
    if not branches:
        return []
    detail = f"the module branches on data at {'; '.join(branches)}"
    detail += ": the file branches, too" if kept else ": one path is in the file"
    statement = "holds every path of the module"
    return [Check(file, statement, "measured" if kept else "failed", detail)]
