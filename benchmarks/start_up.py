"""Where the time goes before the first digit, and what could be trimmed.

    python -m benchmarks.start_up [--runs 31]

First the stages of `digitvae generate 1`, one after the other in a new interpreter each time, then
the command itself, which opens ONNX Runtime on a second thread meanwhile. Then the creation of a
session from the decoder as it is shipped and from forms that were optimised beforehand. Medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime

from digitvae.bundle.folder import shipped_path

if TYPE_CHECKING:
    from collections.abc import Callable

STAGES = """
import time
times = [time.monotonic()]
mark = lambda: times.append(time.monotonic())
import digitvae.cli.app
import digitvae.cli.commands
import digitvae.cli.commands.generate, digitvae.cli.result, digitvae.cli.progress
import digitvae.engine.model, digitvae.output.manifest, digitvae.output.sink
mark()
runtime = digitvae.engine.model.open_runtime()
mark()
bundle = digitvae.bundle.folder.Bundle.open(None)
bundle.read("decoder.onnx")
mark()
model = digitvae.engine.model.Model(bundle, runtime)
mark()
model.sample_into(bytearray(784))
mark()
import json
print(json.dumps(times))
import os, sys
sys.stdout.flush()
os._exit(0)
"""
NAMES = (
    "interpreter",
    "Python modules: click, the command, the engine",
    "ONNX Runtime opened",
    "bundle checked, decoder read",
    "session made",
    "first digit",
)
FORMS_ROUNDS = 51


def stages() -> list[float]:
    """Seconds of each stage of one start."""
    start = time.monotonic()
    printed = subprocess.run(
        [sys.executable, "-c", STAGES], check=True, capture_output=True, text=True
    ).stdout
    times = [start, *json.loads(printed)]
    return [later - before for before, later in pairwise(times)]


def whole(command: list[str]) -> float:
    """Seconds of one process."""
    start = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - start


def print_stages(runs: int) -> None:
    """The stages one after the other, and the command."""
    rows = [stages() for _ in range(runs)]
    print("| stage | ms |\n|---|---:|")
    for name, seconds in zip(NAMES, zip(*rows, strict=True), strict=True):
        print(f"| {name} | {statistics.median(seconds) * 1e3:.1f} |")
    print(f"| all, one after the other | {statistics.median(map(sum, rows)) * 1e3:.1f} |")
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "digit.npy")
        command = [str(Path(sys.executable).with_name("digitvae")), "generate", "1", "-q"]
        times = [whole([*command, "--force", "-o", out]) for _ in range(runs)]
    print(
        f"| **`digitvae generate 1`, from start to exit** | {statistics.median(times) * 1e3:.1f} |"
    )
    times = [whole([sys.executable, "-c", "pass"]) for _ in range(runs)]
    print(f"| `python -c pass`, from start to exit | {statistics.median(times) * 1e3:.1f} |\n")


def options(level: onnxruntime.GraphOptimizationLevel, **saved: Any) -> onnxruntime.SessionOptions:
    """Of one thread."""
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = 1
    made.graph_optimization_level = level
    made.log_severity_level = 3
    for name, value in saved.items():
        setattr(made, name, value)
    return made


def optimised_beforehand(
    folder: Path, level: onnxruntime.GraphOptimizationLevel, name: str
) -> Path:
    """The decoder as ONNX Runtime saves it after optimising."""
    path = folder / name
    made = options(level, optimized_model_filepath=str(path))
    if path.suffix == ".ort":
        made.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(shipped_path() / "decoder.onnx", made)
    return path


def session_from(model: bytes, made: onnxruntime.SessionOptions) -> Callable[[], object]:
    """What makes a session of this model."""
    return lambda: onnxruntime.InferenceSession(model, made, providers=["CPUExecutionProvider"])


def print_sessions() -> None:
    """Seconds to make a session from each form, in turns."""
    level = onnxruntime.GraphOptimizationLevel
    shipped = (shipped_path() / "decoder.onnx").read_bytes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        extended = optimised_beforehand(folder, level.ORT_ENABLE_EXTENDED, "optimised.onnx")
        ort = optimised_beforehand(folder, level.ORT_ENABLE_EXTENDED, "optimised.ort")
        forms = {
            "`decoder.onnx`, all optimisations": session_from(
                shipped, options(level.ORT_ENABLE_ALL)
            ),
            "`decoder.onnx`, none": session_from(shipped, options(level.ORT_DISABLE_ALL)),
            "optimised beforehand, as ONNX": session_from(
                extended.read_bytes(), options(level.ORT_DISABLE_ALL)
            ),
            "optimised beforehand, in ONNX Runtime's format": session_from(
                ort.read_bytes(), options(level.ORT_DISABLE_ALL)
            ),
        }
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(FORMS_ROUNDS):
        for name, make in forms.items():
            start = time.perf_counter()
            make()
            times[name].append(time.perf_counter() - start)
    print("| session made from | ms |\n|---|---:|")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values) * 1e3:.2f} |")


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="Where the time goes before the first digit.")
    parser.add_argument("--runs", type=int, default=31)
    print_stages(parser.parse_args().runs)
    print_sessions()


if __name__ == "__main__":
    main()
