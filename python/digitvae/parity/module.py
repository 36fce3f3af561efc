"""Verify a model that is not ours: a PyTorch module against the files exported from it."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_format
import torch
from onnx.external_data_helper import load_external_data_for_model

from digitvae._native import available_threads
from digitvae.base.errors import ParityError
from digitvae.parity.checks import structure
from digitvae.parity.checks.function import branches_of, check_branches
from digitvae.parity.inputs.of_modules import (
    both_sides,
    input_sets,
    resized,
    shape_in,
    sizes_of_axes,
    typical_inputs,
)
from digitvae.parity.inputs.search import Reach
from digitvae.parity.inputs.sets import InputSet
from digitvae.parity.networks import Float32, Function, Network
from digitvae.parity.report.report import Check, Comparison, ParityReport, first_line
from digitvae.parity.runtimes import RUNTIMES, load
from digitvae.parity.runtimes.pytorch import torch_function
from digitvae.parity.runtimes.runtime import Export
from digitvae.parity.settings import Settings
from digitvae.parity.truth.captured import Truth
from digitvae.parity.truth.enclosure import Reference
from digitvae.parity.truth.rules import NoRuleError
from digitvae.parity.truth.tolerated import Tolerated
from digitvae.parity.verification import (
    Case,
    Progress,
    Run,
    require_positive,
    single_threaded,
)

FULL = Settings("full", draws=128, decoded=0, images=0, generated=20, generations=5)
QUICK = Settings("quick", draws=16, decoded=0, images=0, generated=5, generations=0)

_SLOW_ROWS = 2
_OPEN = (16, 8, 32, 28, 64, 224)
"""Sizes that are tried for axes of which nothing is known."""

_LEAST_SIZES = 3
_FEW_ROWS = 3
"""Other than the two rows that modules are captured with."""


@dataclass(frozen=True)
class Files:
    """What was exported.

    Attributes:
        onnx: The ONNX file; its weights may lie in files beside it.
        torchscript: A TorchScript file. Loading it can run code.
        exported_program: A ``.pt2`` file.
    """

    onnx: Path
    torchscript: Path | None = None
    exported_program: Path | None = None


@single_threaded()
def verify_model(
    factory: str,
    files: Files,
    *,
    shape: tuple[int, ...] | None = None,
    sizes: Mapping[str, Sequence[int]] | None = None,
    inputs: Path | None = None,
    tolerance: float | None = None,
    quick: bool = False,
    draws: int | None = None,
    threads: int | None = None,
    on_progress: Progress | None = None,
) -> ParityReport:
    """Verify that exported files compute what a PyTorch module computes.

    The module has one float32 input whose first axis is the batch, and float32 outputs.

    Args:
        factory: ``package.module:name`` of something that returns the module when it is called
            without arguments, or is one. The current folder is searched first.
        files: What was exported from it.
        shape: Of one input, without the batch; by default what the ONNX file says, then that of
            ``inputs``, and for axes that both leave open a size that the module takes.
        sizes: What to compare an axis on that the ONNX file leaves open, by its name there; by
            default three that the module takes.
        inputs: A ``.npy`` file of typical inputs, float32 [n, …]; by default draws from N(0, I).
        tolerance: |Δ| to float64 truth that is allowed, times max(1, |truth|), below 1, where the
            module has an operation without a rule, or has no graph; otherwise the rules decide.
        quick: A few inputs only.
        draws: Typical inputs; by default 128, or 16 if ``quick``, or all of ``inputs``.
        threads: Blocks of inputs to compare at the same time; by default all processors.
        on_progress: Called before each step.

    Returns:
        The report; its ``passed`` is the verdict.

    Raises:
        ParityError: The module or a file cannot be used; the message says which and why.
        ValueError: A number is out of range.
    """
    require_positive(draws=draws, threads=threads)
    if tolerance is not None and not 0.0 < tolerance < 1.0:
        raise ValueError(
            f"tolerance is {tolerance}, expected a number above 0 and below 1: at 1 a zero passes "
            "for any value"
        )
    run = Run(QUICK if quick else FULL, threads or available_threads(), on_progress)
    run.step("loading every runtime")
    module = load_module(factory)
    name = files.onnx.name
    content = _read(files.onnx)

    def read() -> onnx_format.ModelProto:
        """Take weights in other files from beside it, and from nowhere else."""
        model = onnx_format.load_model_from_string(content)
        load_external_data_for_model(model, str(files.onnx.parent))
        return model

    checks, graph = structure.check_validity(name, read)
    run.checks += checks
    if graph is None:
        return run.report(factory)
    network, axes, batch = _interface(graph.graph, shape)
    compute = torch_function(module)
    shape = shape or _shape_of(axes, compute, batch, inputs)
    if batch is not None:
        run.notes.append(f"batch is fixed at {batch}")
    count = draws or max(run.settings.draws, batch or 1)
    rows = typical_inputs(inputs, shape, count, limit=draws)
    if batch is not None:
        if len(rows) < batch:
            raise ParityError(f"{len(rows)} inputs do not fill one of the batches of {batch}")
        rows = rows[: len(rows) // batch * batch]
    run.settings = replace(run.settings, draws=len(rows))
    contents, names = _contents(files, graph)
    few = rows[: batch or _FEW_ROWS]
    _require_outputs(module, network, few)
    with _explained("the module cannot be called twice"):
        branches = branches_of(module, compute, few)
    kept = any(node.op_type in ("If", "Loop", "Scan") for node in graph.graph.node)
    run.checks += check_branches(name, branches, kept=kept)
    if branches and tolerance is None:
        raise ParityError(
            f"{run.checks[-1].detail}; --tolerance compares both sides all the same, if they may "
            "differ by so much"
        )
    more = _sizes_of_axes(axes, few, compute, sizes or {})
    truth = _truth(module, [few, *(block for given in more for block in given.blocks)], tolerance)
    export = Export(network, module, truth, names, contents.__getitem__)
    load(export, run.checks)
    run.checks.append(_parameters(name, graph, module))
    if branches:
        more += both_sides(rows, batch)
    run.verify(_cases(run, export, rows, batch, more))
    if isinstance(truth, Tolerated) and tolerance is not None:
        run.notes.append(_used(tolerance, run.comparisons))
    elif tolerance is not None:
        run.notes.append("every operation has a rule, so that the tolerance was not used")
    return run.report(factory)


def _used(tolerance: float, comparisons: Iterable[Comparison]) -> str:
    """How much of the tolerance was needed, in words."""
    peaks = (c.deviations.noise_used for c in comparisons if c.deviations is not None)
    largest = max((peak.value for peak in peaks if peak is not None), default=0.0)
    return f"{largest:.3g} of the tolerance {tolerance:g} is used"


def _contents(files: Files, graph: Any) -> tuple[dict[str, bytes], dict[str, str]]:
    """Content and name of each kind of file, all in memory.

    The ONNX model has the weights that lay in files beside it.
    """
    contents, names = {"onnx": graph.SerializeToString()}, {"onnx": files.onnx.name}
    for kind, path in (("torchscript", files.torchscript), ("pt2", files.exported_program)):
        if path is not None:
            contents[kind], names[kind] = _read(path), path.name
    return contents, names


def _cases(
    run: Run, export: Export, rows: Float32, batch: int | None, more: list[InputSet]
) -> list[Case]:
    """What is fast, on all inputs, and everything on the first ones."""
    reach = None
    if run.settings.generations and batch is None:
        spread = max(float(rows.std(dtype=np.float64)), 1e-6)
        reach = Reach(rows[:16], float(rows.min()), float(rows.max()), spread)
    slow = {runtime.name for runtime in RUNTIMES if runtime.slow}
    fast = {name: one for name, one in export.functions.items() if name not in slow}
    sets = [*input_sets(rows, run.settings.generated, batch), *more]
    first = InputSet("first inputs", (rows[: batch or _SLOW_ROWS],), typical=True)
    return [
        Case(replace(export, functions=fast), sets, reach),
        Case(export, [first]),
    ]


def load_module(factory: str) -> torch.nn.Module:
    """The module that ``package.module:name`` is or makes, in evaluation mode.

    Raises:
        ParityError: There is no such thing, or it is no module.
    """
    place, colon, name = factory.partition(":")
    if not (place and colon and name):
        raise ParityError(f"{factory!r} does not name a module: expected package.module:factory")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        made = getattr(importlib.import_module(place), name)
        if not isinstance(made, torch.nn.Module):
            made = made()
    except (Exception, SystemExit) as error:  # whatever somebody else's code raises
        raise ParityError(f"{factory} cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(made, torch.nn.Module):
        raise ParityError(f"{factory} made a {type(made).__name__}, expected a torch.nn.Module")
    odd = sorted({str(p.dtype) for p in made.parameters()} - {"torch.float32"})
    if odd:
        raise ParityError(f"{factory} has parameters of {', '.join(odd)}, expected float32")
    return made.requires_grad_(requires_grad=False).cpu().eval()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ParityError(f"cannot read {path}: {error.strerror}") from error


def _takes(compute: Function, shape: Sequence[int]) -> bool:
    """Whether a module computes inputs of a shape."""
    try:
        compute(np.zeros(shape, np.float32))
    except Exception:  # somebody else's code: whatever it raises says no
        return False
    return True


def _shape_of(
    axes: Sequence[int | str], compute: Function, batch: int | None, inputs: Path | None
) -> tuple[int, ...]:
    """The shape of one input, with a size for the axes that are open: the file's, or any.

    Raises:
        ParityError: The module takes none that was tried.
    """

    def closed(sizes: Sequence[int]) -> tuple[int, ...]:
        pairs = zip(axes, sizes, strict=True)
        return tuple(size if isinstance(axis, str) else axis for axis, size in pairs)

    if all(isinstance(axis, int) for axis in axes):
        return closed([0] * len(axes))
    if inputs is not None and len(there := shape_in(inputs)) == len(axes):
        return closed(there)
    shapes = (closed([size] * len(axes)) for size in _OPEN)
    found = next((shape for shape in shapes if _takes(compute, (batch or 2, *shape))), None)
    if found is None:
        raise ParityError(
            "the ONNX model leaves the shape of its input open, and the module takes none of "
            f"{', '.join(map(str, _OPEN))} there: give it with --shape"
        )
    return found


def _sizes_of_axes(
    axes: Sequence[int | str],
    rows: Float32,
    compute: Function,
    asked: Mapping[str, Sequence[int]],
) -> list[InputSet]:
    """Sets of inputs for the axes that the file leaves open, beside the batch.

    Raises:
        ParityError: Sizes were asked for of an axis that is none of them.
    """
    free: dict[str, list[int]] = {}
    for place, axis in enumerate(axes, 1):
        if isinstance(axis, str):
            free.setdefault(axis, []).append(place)
    unknown = ", ".join(sorted(asked.keys() - free.keys()))
    if unknown:
        raise ParityError(
            f"the ONNX model leaves open no axis called {unknown}, but {', '.join(free) or 'none'}"
        )
    sets = [
        sizes_of_axes(rows, places, name, asked.get(name) or _sizes(rows, places, compute))
        for name, places in free.items()
    ]
    for block in (block for given in sets for block in given.blocks):
        with _explained(f"the module cannot compute inputs of shape {list(block.shape)}"):
            compute(block)
    return sets


def _sizes(rows: Float32, axes: Sequence[int], compute: Function) -> list[int]:
    """Up to three sizes of some axes that a module takes, that of the rows first."""
    there = rows.shape[axes[0]]
    found = [there]
    for size in (there + 1, there + 2, 2 * there, there - 1, there // 2, 3 * there, there + 4, 1):
        if len(found) < _LEAST_SIZES and size > 0 and size not in found:
            found += [size] * _takes(compute, resized(rows, axes, size).shape)
    return found


def _interface(
    graph: Any, shape: tuple[int, ...] | None
) -> tuple[Network, tuple[int | str, ...], int | None]:
    """The network of an ONNX file, the axes of one input, and the size of a batch if it is fixed.

    An axis is its size, or its name where the file leaves it open. ``shape`` has to fit.
    """
    weights = {tensor.name for tensor in graph.initializer}
    given = [value for value in graph.input if value.name not in weights]
    if len(given) != 1:
        names = ", ".join(value.name for value in given) or "none"
        raise ParityError(f"the ONNX model has the inputs {names}; expected one")
    odd = [
        f"{name} is {text}"
        for name, text in structure.signature([*given, *graph.output]).items()
        if not text.startswith("float32 [")
    ]
    if odd:
        raise ParityError(f"the ONNX model's {', '.join(odd)}; expected float32")
    declared = given[0].type.tensor_type.shape.dim
    if not declared:
        raise ParityError("the ONNX model's input has no axis for a batch")
    axes = tuple(
        axis.dim_value or axis.dim_param or f"axis {place}" for place, axis in enumerate(declared)
    )[1:]
    fits = shape is None or (
        len(shape) == len(axes)
        and all(axis in (size, str(axis)) for axis, size in zip(axes, shape, strict=True))
    )
    if not fits:
        listed = ", ".join("any" if isinstance(axis, str) else str(axis) for axis in axes)
        raise ParityError(
            f"--shape is {list(shape or ())}, but the ONNX model's input is [{listed}]"
        )
    outputs = tuple(value.name for value in graph.output)
    network = Network(graph.name or "model", given[0].name, outputs)
    return network, axes, declared[0].dim_value or None


@contextlib.contextmanager
def _explained(doing: str, advice: str = "") -> Iterator[None]:
    """Turn whatever somebody else's code, or torch.export, raises into an error that says why."""
    try:
        yield
    except ParityError:
        raise
    except (Exception, SystemExit) as error:
        raise ParityError(f"{doing}: {first_line(error)}{advice}") from error


def _require_outputs(module: torch.nn.Module, network: Network, rows: Float32) -> None:
    """Require that the module computes as many outputs as the ONNX model."""
    with _explained(f"the module cannot compute inputs of shape {list(rows.shape)}"):
        outputs = torch_function(module)(rows)
    computed = len(outputs)
    for output in outputs:
        if output.shape[:1] != rows.shape[:1]:
            raise ParityError(
                f"the module computes {list(output.shape)} of {len(rows)} inputs: the first axis "
                "of an output has to be the batch"
            )
    if computed != len(network.outputs):
        raise ParityError(
            f"the module computes {computed} outputs, the ONNX model {len(network.outputs)}"
        )


def _truth(
    module: torch.nn.Module, blocks: Sequence[Float32], tolerance: float | None
) -> Reference:
    """Float64 truth, which has been evaluated on blocks of every shape, each of which it captures.

    While it does, nothing else may compute. The tolerance is for what has no rule.
    """
    try:
        return _ruled(module, blocks)
    except ParityError:
        if tolerance is None:
            raise
    return _tolerated(module, blocks[0], tolerance)


def _tolerated(module: torch.nn.Module, rows: Float32, tolerance: float) -> Tolerated:
    tolerated = Tolerated(module, tolerance)
    advice = ". Tensors that it makes itself should take their type from its input"
    with _explained("the module cannot be evaluated in float64", advice):
        tolerated(rows)
    return tolerated


def _ruled(module: torch.nn.Module, blocks: Sequence[Float32]) -> Truth:
    advice = ". Without its graph there is no noise limit: say with --tolerance what may differ"
    try:
        with _explained("torch.export cannot capture the module", advice):
            truth = Truth(module, torch.zeros(2, *blocks[0].shape[1:]))
        for block in blocks:
            doing = f"the graph of torch.export cannot be evaluated for {len(block)} inputs"
            with _explained(f"{doing} of shape {list(block.shape[1:])}", advice):
                truth(block)
    except ParityError as error:
        if isinstance(error.__cause__, NoRuleError):
            raise ParityError(f"{error.__cause__}: say with --tolerance what may differ") from error
        raise
    return truth


def _parameters(file: str, graph: Any, module: torch.nn.Module) -> Check:
    """How many of the module's parameters are in the file, bit for bit: exporters may fold some."""
    stored = {
        onnx_format.numpy_helper.to_array(tensor).tobytes() for tensor in graph.graph.initializer
    }
    missing = [
        name
        for name, tensor in module.named_parameters()
        if tensor.numpy().tobytes() not in stored and tensor.numpy().T.tobytes() not in stored
    ]
    total = sum(1 for _ in module.parameters())
    detail = f"{total - len(missing)} of {total}"
    if missing:
        detail += f"; not {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}"
    return Check(file, "holds the module's parameters bit for bit", "measured", detail)
