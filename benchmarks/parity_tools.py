"""What other tools say of the gate's mutants and honest copies, beside `digitvae verify`.

    pip install 'optimum-onnx[onnxruntime]' polygraphy     # in an environment of their own
    python -m benchmarks.parity_tools [--words]

All are asked about the same ONNX files: copies of the shipped bundle that were damaged, or only
rewritten (`digitvae.parity.gate`). Every tool is used as its documentation tells, with its own
tolerances, and with the input that it makes up by itself where it makes one up. What it raises
counts as caught. A tool that is not installed is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import shutil
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from digitvae.bundle.folder import Bundle, shipped_path
from digitvae.parity import Comparison
from digitvae.parity.bundle import verify_with
from digitvae.parity.gate import edits
from digitvae.parity.gate.honest import all_honest_copies
from digitvae.parity.gate.mutants import all_mutants
from digitvae.parity.settings import GATE
from digitvae.vae.weights import load_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Tool = Callable[["Case"], "Verdict | None"]

LARGE_ABSOLUTE, LARGE_RELATIVE = 5e-3, 1e-1
"""From where on `torch.onnx.export(verify=True)` warns: `_core.py` of its exporter, step 6."""


OURS, OUR_NUMBERS = "digitvae verify", "its numbers alone"


class Case(NamedTuple):
    """One ONNX file, and the module that it is said to be."""

    name: str
    network: str
    path: Path
    module: torch.nn.Module
    input: str
    outputs: tuple[str, ...]
    width: int


class Verdict(NamedTuple):
    """Whether a tool found a fault, and the first line of what it said."""

    caught: bool
    said: str


class Row(NamedTuple):
    """What all tools say of a case, and their seconds; None of a tool that is not installed."""

    case: Case
    verdicts: dict[str, Verdict | None]
    seconds: dict[str, float]


def asked(tool: Callable[[Case], Verdict]) -> Tool:
    """Count what a tool raises as caught, and a missing tool as no verdict."""

    @functools.wraps(tool)
    def ask(case: Case) -> Verdict | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return tool(case)
            except ModuleNotFoundError:
                return None
            except Exception as error:
                said = str(error).strip() or "no words"
                return Verdict(caught=True, said=f"{type(error).__name__}: {said.splitlines()[0]}")

    return ask


def program_of(case: Case) -> torch.onnx.ONNXProgram:
    """The file beside an ExportedProgram of the module, as `torch.onnx.export` returns them.

    PyTorch's checks take a program that was just exported, never a file, so the file is put in the
    place of the graph that the exporter would make. The example input is what they compare on: two
    rows (of one, `torch.export` would take the batch axis for a constant), normal random numbers as
    in PyTorch's tutorials. External data is read first: a fresh program has its weights in memory.
    """
    import onnx_ir

    example = torch.randn(2, case.width, generator=torch.Generator().manual_seed(0))
    shapes = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(case.module, (example,), dynamic_shapes=shapes)
    graph = onnx_ir.external_data.load_to_model(onnx_ir.load(case.path))
    return torch.onnx.ONNXProgram(graph, exported)


@asked
def torch_onnx_verification(case: Case) -> Verdict:
    """`torch.onnx.verification.verify_onnx_program`, judged as `export(verify=True)` does.

    The function itself only measures; the exporter, which calls it, has the thresholds.
    """
    from torch.onnx.verification import verify_onnx_program

    said = []
    for info in verify_onnx_program(program_of(case)):
        for kind, difference, large in (
            ("absolute", info.max_abs_diff, LARGE_ABSOLUTE),
            ("relative", info.max_rel_diff, LARGE_RELATIVE),
        ):
            if difference >= large:
                said.append(
                    f"Output '{info.name}' has a large {kind} difference of {difference:f}."
                )
    return Verdict(caught=bool(said), said=" ".join(said) or "no warning")


@asked
def torch_onnx_testing(case: Case) -> Verdict:
    """`torch.onnx.testing.assert_onnx_program`: `assert_close`, rtol 1.3e-6 and atol 1e-5.

    `strategy` is about how the module was captured, which says nothing of a file.
    """
    from torch.onnx.testing import assert_onnx_program

    assert_onnx_program(program_of(case), strategy=None)
    return Verdict(caught=False, said="no AssertionError")


@asked
def optimum(case: Case) -> Verdict:
    """Optimum's `validate_model_outputs`: `numpy.allclose` with atol 1e-5 and rtol 1e-5.

    The configuration is what Optimum wants for a model that it does not know. Its generator of
    inputs uses Optimum's defaults: two rows, uniform in [0, 1). No subprocess, as in
    `onnx_export_from_model`.
    """
    from optimum.exporters.onnx import OnnxConfig, validate_model_outputs
    from optimum.utils import DEFAULT_DUMMY_SHAPES, DummyInputGenerator, NormalizedConfig, logging
    from transformers import PretrainedConfig

    class Rows(DummyInputGenerator):  # type: ignore[misc]
        """The input's rows."""

        SUPPORTED_INPUT_NAMES = (case.input,)

        def __init__(self, *_: Any, batch_size: int = DEFAULT_DUMMY_SHAPES["batch_size"]) -> None:
            self.shape = [batch_size, case.width]

        def generate(
            self,
            input_name: str,  # noqa: ARG002
            framework: str = "pt",
            int_dtype: str = "int64",  # noqa: ARG002
            float_dtype: str = "fp32",
        ) -> Any:
            """The generator's call."""
            return self.random_float_tensor(self.shape, framework=framework, dtype=float_dtype)

    class Configuration(OnnxConfig):  # type: ignore[misc]
        """Names and axes."""

        NORMALIZED_CONFIG_CLASS = NormalizedConfig
        DUMMY_INPUT_GENERATOR_CLASSES = (Rows,)
        inputs = {case.input: {0: "batch"}}  # noqa: RUF012
        outputs = {name: {0: "batch"} for name in case.outputs}  # noqa: RUF012

    logging.set_verbosity(logging.CRITICAL)  # it logs what it then raises
    torch.manual_seed(0)
    validate_model_outputs(
        config=Configuration(PretrainedConfig()),
        reference_model=case.module,
        onnx_model=case.path,
        onnx_named_outputs=list(case.outputs),
        use_subprocess=False,
    )
    return Verdict(caught=False, said="no exception")


@asked
def polygraphy(case: Case) -> Verdict:
    """`polygraphy run FILE --onnxrt --load-outputs …`: |a − b| ≤ 1e-5 or ≤ 1e-5 |b|, by element.

    Its data loader makes the input: one row, uniform in [0, 1], seed 1. PyTorch's outputs come in
    as `RunResults`, as in its example "Comparing With Custom Output Data": its own `PytRunner`
    needs a GPU and a module that returns a tuple.
    """
    from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
    from polygraphy.comparator import Comparator, DataLoader, RunResults

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        loader = DataLoader()
        results = Comparator.run([OnnxrtRunner(SessionFromOnnx(str(case.path)))], loader)
        reference = RunResults()
        reference.add([pytorch_outputs(case, feed) for feed in loader], runner_name="pytorch")
        results.extend(reference)
        passed = bool(Comparator.compare_accuracy(results))
    wanted = "PASSED | " if passed else "FAILED | "
    lines = [line.strip() for line in printed.getvalue().splitlines() if wanted in line]
    return Verdict(caught=not passed, said=lines[0] if lines else "no words")


def pytorch_outputs(case: Case, feed: dict[str, Any]) -> dict[str, Any]:
    """The module's outputs for Polygraphy's input, by name."""
    with torch.inference_mode():
        made = case.module(torch.from_numpy(feed[case.input]))
    tensors = made if isinstance(made, tuple) else (made,)
    return {name: x.numpy() for name, x in zip(case.outputs, tensors, strict=True)}


TOOLS: dict[str, Tool] = {
    "torch.onnx.verification": torch_onnx_verification,
    "torch.onnx.testing": torch_onnx_testing,
    "Optimum": optimum,
    "Polygraphy": polygraphy,
}


def case_of(name: str, network: str, folder: Path) -> Case:
    """The ONNX file of a bundle's network, and the module that its weights make."""
    model = load_bundle(Bundle.open(folder))
    path = folder / f"{network}.onnx"
    if network == "decoder":
        return Case(name, network, path, model.decoder, "z", ("x",), model.dims.latents)
    return Case(name, network, path, model.encoder, "x", ("mu", "logvar"), model.dims.pixels)


def judge(case: Case) -> Row:
    """Let every tool judge a case."""
    row = Row(case, {}, {})
    for name, tool in TOOLS.items():
        start = time.perf_counter()
        row.verdicts[name] = tool(case)
        row.seconds[name] = time.perf_counter() - start
    return row


def own_verdicts(folder: Path, row: Row) -> None:
    """Add what `digitvae verify` says: all of it, and its numbers alone."""
    start = time.perf_counter()
    report = verify_with(folder, GATE)
    row.seconds[OURS] = time.perf_counter() - start
    said = "; ".join(map(str, report.failures)) or "passed"
    by_numbers = any(isinstance(failure, Comparison) for failure in report.failures)
    row.verdicts[OURS] = Verdict(not report.passed, said)
    row.verdicts[OUR_NUMBERS] = Verdict(by_numbers, said)


def judge_copies() -> tuple[list[Row], list[Row]]:
    """Make every copy, and let everybody judge it: mutants of ONNX files, and honest copies."""
    faulty: list[Row] = []
    honest: list[Row] = []
    faults = all_mutants(Bundle.open(shipped_path()).dims)
    for copy in [*(fault for fault in faults if fault.onnx), *all_honest_copies()]:
        with tempfile.TemporaryDirectory() as scratch:
            folder = shutil.copytree(shipped_path(), Path(scratch) / "copy")
            if copy.change is not None:
                copy.change(folder)
            edits.redo_hashes(folder)
            if copy.onnx is not None:
                row = judge(case_of(copy.name, copy.onnx, folder))
                own_verdicts(folder, row)
                faulty.append(row)
            else:
                rows = [judge(case_of(copy.name, name, folder)) for name in ("decoder", "encoder")]
                for row in rows:
                    own_verdicts(folder, row)
                honest += rows
    return faulty, honest


def count(rows: Iterable[Row], tool: str) -> str:
    """How many of the rows a tool raised an alarm for."""
    verdicts = [row.verdicts[tool] for row in rows]
    if None in verdicts:
        return "not installed"
    return f"{sum(verdict.caught for verdict in verdicts if verdict)} of {len(verdicts)}"


def print_tables(faulty: list[Row], honest: list[Row], *, words: bool) -> None:
    """Each fault, then the counts, in Markdown; with words, what the tools said below each."""
    names = (*TOOLS, OUR_NUMBERS, OURS)
    heads = " | ".join(names)
    print(f"| fault | {heads} |\n|---|{'---|' * len(names)}")
    flips = [row for row in faulty if "flipped" in row.case.name]
    for row in faulty:
        if row not in flips:
            found = [row.verdicts[name] for name in names]
            marks = ["?" if v is None else "caught" if v.caught else "–" for v in found]
            print(f"| {row.case.name} | {' | '.join(marks)} |")
    for title, rows in (
        ("one bit of a weight flipped", flips),
        ("all faults", faulty),
        ("**false alarms**: honest files", honest),
    ):
        print(f"| {title} | {' | '.join(count(rows, name) for name in names)} |")
    medians = [
        statistics.median(row.seconds.get(name, float("nan")) for row in faulty) for name in names
    ]
    print(f"| seconds each (median) | {' | '.join(f'{median:.2f}' for median in medians)} |")
    if words:
        for row in (*faulty, *honest):
            print(f"\n{row.case.name}, {row.case.network}:")
            for name, verdict in row.verdicts.items():
                print(f"    {name}: {verdict.said if verdict else 'not installed'}")


def main() -> None:
    """Judge all copies and print the tables."""
    parser = argparse.ArgumentParser(description="What other tools say of faulty exports.")
    parser.add_argument("--words", action="store_true", help="print what the tools said, too")
    arguments = parser.parse_args()
    print_tables(*judge_copies(), words=arguments.words)


if __name__ == "__main__":
    main()
