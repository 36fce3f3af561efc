"""Whether a module is one function of its inputs, which is all that an exported file can hold."""

from __future__ import annotations

import contextlib
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


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes where numbers that come from the inputs are looked at, and what draws random ones.

    Attributes:
        branches: Places in the module's source, and their lines.
        random: Operators that draw, and where.
    """

    supports_higher_order_operators = True

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
        tags = getattr(func, "tags", ())  # torch.cond and its like have none
        if torch.Tag.nondeterministic_seeded in tags:
            self.random.setdefault(str(func), _line())
        if derived and torch.Tag.data_dependent_output in tags:  # a tensor's number to Python
            self.branches += {_line()} - set(self.branches)
        result = func(*args, **(kwargs or {}))
        if derived:
            schema = getattr(func, "_schema", None)
            changed = given[:1] if schema is not None and schema.is_mutable else []
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
    # Copies: it may change its input in place, or hand out what it changes later.
    first, second = ([out.tobytes() for out in compute(rows.copy())] for _ in range(2))
    inputs = torch.from_numpy(rows.copy())
    # What cannot be watched has no branches that are known: the comparisons still look at it.
    watch = _Watch(inputs)
    with contextlib.suppress(Exception), torch.no_grad(), watch:
        module(inputs)
    if first != second:
        if not watch.random:
            raise ParityError(
                "the module gives other outputs when it is called again with the same inputs: it "
                "keeps something between calls, which no export does"
            )
        drawn = "; ".join(f"{name} at {line}" for name, line in watch.random.items())
        raise ParityError(f"the module draws random numbers ({drawn}): make the noise an input")
    return watch.branches


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
