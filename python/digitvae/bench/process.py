"""Whole processes, from start to exit, that put digits into a .npy of uint8."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from digitvae.bench.contenders import OURS, TORCHSCRIPT
from digitvae.bench.processors import available
from digitvae.bench.results import FAILED, REFUSED
from digitvae.bench.worker import ContenderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digitvae.bench.contenders import Contender
    from digitvae.bench.job import Job
    from digitvae.bundle.folder import Bundle

_SCRIPTS = Path(__file__).parent / "scripts"
_CHECKED_DIGITS = 2048
_SHOWN_OF_STDERR = 200  # characters


def command(contender: Contender, bundle: Path, digits: int, out: Path) -> list[str]:
    """The command line of a contender's program.

    Raises:
        ValueError: It has none.
    """
    if contender.name == OURS:
        installed = Path(sys.executable).with_name("digitvae")
        program = [str(installed)]
        if not installed.exists():
            program = [sys.executable, "-m", "digitvae.cli.app"]
        options = ["--bundle", str(bundle), "-o", str(out), "--force", "--quiet"]
        return [*program, "generate", str(digits), *options]
    if contender.script is None:
        raise ValueError(f"{contender.name} has no program")
    script = str(_SCRIPTS / contender.script)
    return [sys.executable, script, str(bundle), str(digits), str(out)]


def measure(job: Job, contenders: Sequence[Contender]) -> None:
    """Add the times of whole processes, in turns after one run of each that is checked.

    Args:
        job: The run.
        contenders: Those that have a program.
    """
    counts, turns = job.settings.counts, job.settings.rounds + 1
    with tempfile.TemporaryDirectory(dir=job.folder, prefix=".digitvae-") as name:
        sources = {one.name: _source(job, one, Path(name)) for one in contenders}
        for turn in range(turns):
            first = turn % max(len(contenders), 1)  # who comes first changes from turn to turn
            for i, digits in enumerate(counts):
                job.on_progress(
                    turn * len(counts) + i, turns * len(counts), "whole processes, in turns"
                )
                for contender in (*contenders[first:], *contenders[:first]):
                    if job.takes_part(contender):
                        out = Path(name) / f"{contender.name}.npy"
                        words = command(contender, sources[contender.name], digits, out)
                        _turn(job, contender, digits, words, out, check=turn == 0)
    job.results.drop_what_failed(job.results.process)


def _source(job: Job, contender: Contender, scratch: Path) -> Path:
    """The folder that a contender's program gets its decoder from."""
    if contender.name != TORCHSCRIPT or not job.takes_part(contender):
        return job.bundle.path
    from digitvae.bench.contenders.torch_script import decoder_bytes

    (scratch / "decoder.torchscript").write_bytes(decoder_bytes(job.bundle))
    return scratch


def _turn(
    job: Job, contender: Contender, digits: int, words: list[str], out: Path, *, check: bool
) -> None:
    """One run, which is either checked or timed; its file does not outlive it."""
    try:
        seconds = _run(words)
        if not check:
            times = job.results.times(job.results.process, contender.name, digits, available())
            times.append(seconds)
            return
        problem = _problem(out, digits, job.bundle)
    except (ContenderError, OSError, ValueError) as error:
        job.exclude(contender, FAILED, str(error))
        return
    finally:
        out.unlink(missing_ok=True)
    if problem:
        job.exclude(contender, REFUSED, problem)


def _run(words: list[str]) -> float:
    """Seconds from start to exit."""
    start = time.perf_counter()
    done = subprocess.run(
        words, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        code = done.returncode
        raise ContenderError(f"its program ended with {code}: {last[:_SHOWN_OF_STDERR]}")
    return seconds


def _problem(file: Path, digits: int, bundle: Bundle) -> str:
    """What is wrong with a file; empty if nothing is."""
    import numpy as np

    from digitvae.bench.correctness import wrong_images, wrong_mean

    images = np.load(file)
    problem = wrong_images(images, digits)
    if not problem and digits >= _CHECKED_DIGITS:
        problem = wrong_mean(images[:_CHECKED_DIGITS], bundle)
    return problem
