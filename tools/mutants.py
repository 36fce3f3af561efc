"""Thirty faults that the tests must catch, one in every part of the code."""

from __future__ import annotations

from typing import NamedTuple

CPP_TESTS = "ctest"
"""Stands for the C++ tests of the preset ``release``; other tests are paths for pytest."""

PACKAGING = "tests/packaging"
"""The folder of the tests that build, install and package."""


class Mutant(NamedTuple):
    """A fault: where it is made, and who has to notice.

    Attributes:
        name: What goes wrong, in words.
        file: The file that is changed.
        old: What stands there, once.
        new: What replaces it.
        tests: Folders or files for pytest, or ``CPP_TESTS``; never a single test, which may be
            given another name.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str


MUTANTS = (
    # Training and exporting.
    Mutant(
        "a TorchScript has its constants in the order of a set",
        "python/digitvae/vae/serialisation.py",
        'layer.__dict__["__constants__"] = []',
        'layer.__dict__["__constants__"] = getattr(layer, "__constants__", [])',
        "tests/export/test_bundle.py",
    ),
    Mutant(
        "the mixture is fitted with a seed that differs from process to process",
        "python/digitvae/export/bundle.py",
        "seed=config.seed % 2**32",
        "seed=hash(config) % 2**32",
        "tests/export/test_bundle.py",
    ),
    Mutant(
        "Adam forgets its moments when a run is resumed",
        "python/digitvae/training/run_directory.py",
        'if f"adam.step.{name}" in checkpoint.tensors:',
        'if f"adam.step.{name}" in adam.state:',
        "tests/cli/test_train.py",
    ),
    Mutant(
        "processes that train together keep their gradients to themselves",
        "python/digitvae/training/distributed.py",
        "        return DistributedDataParallel(model)\n",
        "        return model\n",
        "tests/training/test_distributed.py",
    ),
    Mutant(
        "a finished run is looked for where the program was started",
        "python/digitvae/training/loop.py",
        "        if not (folder / run.SUMMARY).exists():\n            return opened",
        "        if not Path(run.SUMMARY).exists():\n            return opened",
        "tests/docs/test_notebook.py",
    ),
    Mutant(
        "the codes of images depend on the number of threads",
        "python/digitvae/mixture/posteriors.py",
        "torch.set_num_threads(1)",
        "torch.set_num_threads(threads)",
        "tests/mixture/test_posteriors.py",
    ),
    # The command line, and what it writes.
    Mutant(
        "a closed terminal ends what nohup has started",
        "python/digitvae/cli/app.py",
        "if signal.getsignal(number) != signal.SIG_IGN:",
        "if signal.getsignal(number) is not None:",
        "tests/cli/test_interruption.py",
    ),
    Mutant(
        "shards are made before a manifest says of what",
        "python/digitvae/output/shards.py",
        "if found is None or found.complete or len(found.files) != shards.finished:",
        "if found is not None and len(found.files) != shards.finished:",
        "tests/cli/test_generate_killed.py",
    ),
    Mutant(
        "every group of rows of a table begins with the same index",
        "python/digitvae/output/formats/parquet.py",
        "        self._index += rows\n",
        "",
        "tests/output/test_datasets.py",
    ),
    Mutant(
        "an object is sent in one piece, from memory",
        "python/digitvae/output/stores/objects.py",
        "_BLOCK_BYTES = 16 << 20",
        "_BLOCK_BYTES = 64 << 20",
        "tests/output/stores/test_killed.py",
    ),
    Mutant(
        "a shard whose worker dies is not made again",
        "python/digitvae/generation/ray/schedule.py",
        "max_retries=ATTEMPTS - 1",
        "max_retries=0",
        "tests/generation/ray/test_generate.py",
    ),
    # Judging exports and models.
    Mutant(
        "the gate's faulty copies are caught by their hashes alone",
        "python/digitvae/parity/gate/trial.py",
        "if not copy.keeps_hashes:",
        "if copy.keeps_hashes:",
        "tests/parity/test_gate.py",
    ),
    Mutant(
        "the noise limit leaves honest exports no room",
        "python/digitvae/parity/truth/enclosure.py",
        "NOISE_DEVIATIONS = 16.0",
        "NOISE_DEVIATIONS = 6.0",
        "tests/parity/test_honest_exports.py",
    ),
    Mutant(
        "the C API draws one class, and is compared with draws of all",
        "python/digitvae/parity/runtimes/c_api.py",
        "digit=-1,",
        "digit=0,",
        "tests/parity/test_c_api.py",
    ),
    Mutant(
        "an evaluation that looked at less replaces one that looked at more",
        "python/digitvae/evaluation/settings.py",
        "if before > now else []",
        "if before < now else []",
        "tests/cli/test_evaluate.py",
    ),
    Mutant(
        "the explorer answers pages of other hosts",
        "python/digitvae/explorer/server.py",
        'self.headers.get("Host", "").lower() not in self.server.hosts',
        'not self.headers.get("Host", "")',
        "tests/explorer",
    ),
    Mutant(
        "contenders run on while others are timed",
        "benchmarks/generation/worker.py",
        "        self._process.send_signal(signal.SIGSTOP)\n",
        "",
        "tests/benchmarks/test_contenders.py",
    ),
    # The core in C++.
    Mutant(
        "components of the mixture are chosen by the numbers of the latents",
        "cpp/src/random/latents.cpp",
        "static_cast<std::uint32_t>(Stream::kMixture)",
        "static_cast<std::uint32_t>(Stream::kLatent)",
        CPP_TESTS,
    ),
    Mutant(
        "the last part of a call is left out",
        "cpp/src/schedule/ranges.hpp",
        "part_of(last_) - part_of(first_) + 1;",
        "part_of(last_) - part_of(first_);",
        CPP_TESTS,
    ),
    Mutant(
        "a later block of a sum forgets those before it",
        "cpp/src/kernels/sparse/product.cpp",
        "block.bias = end <= kSumInputs ?",
        "block.bias = end <= inputs_ ?",
        CPP_TESTS,
    ),
    Mutant(
        "a component is reached only beyond its threshold",
        "cpp/src/kernels/mixture/draw.cpp",
        "u >= thresholds[i]",
        "u > thresholds[i]",
        CPP_TESTS,
    ),
    Mutant(
        "a field that comes twice is read as its last one",
        "cpp/src/onnx/read.cpp",
        "if ((rule->kind & kMany) == 0 && (seen_ & bit) != 0)",
        "if ((rule->kind & kMany) == 0 && bit == 0)",
        CPP_TESTS,
    ),
    Mutant(
        "another library is opened than the one that a caller names",
        "cpp/src/onnx/open_at_run_time.cpp",
        "  if (!library.empty()) return open(library);\n",
        "",
        CPP_TESTS,
    ),
    Mutant(
        "every chunk of a stream is the first one",
        "cpp/src/c_api/generate.cpp",
        "core.sample(source, options.first + done, rows,",
        "core.sample(source, options.first, rows,",
        CPP_TESTS,
    ),
    Mutant(
        "Ctrl-C does not end a call of the engine",
        "cpp/bindings/without_gil.cpp",
        "interrupted = PyErr_CheckSignals() != 0;",
        "interrupted = PyErr_CheckSignals() > 0;",
        "tests/engine/test_model.py",
    ),
    Mutant(
        "the C++ API ignores where a caller wants to begin",
        "cpp/include/digitvae/digitvae.hpp",
        "    c_options.first = options.first;\n",
        "",
        f"{PACKAGING}/test_examples.py",
    ),
    # What users install, and what they read.
    Mutant(
        "the header of C++ is not installed",
        "cmake/InstallPackage.cmake",
        'PATTERN "*.h" PATTERN "*.hpp")',
        'PATTERN "*.h")',
        f"{PACKAGING}/test_examples.py",
    ),
    Mutant(
        "the explorer's page is missing from the sdist, and so from the wheel",
        "pyproject.toml",
        'sdist.include = ["python/digitvae/explorer/page"]',
        "sdist.include = []",
        f"{PACKAGING}/test_wheel.py",
    ),
    Mutant(
        "the reference leaves the defaults of options out",
        "tools/docs/commands.py",
        'partition("[default: ")',
        'partition("(default: ")',
        "tests/docs/test_references.py",
    ),
    Mutant(
        "a page shows a command with an option that does not exist",
        "docs/command-line.md",
        "--digit 0-9 --per-digit 1000 -o data",
        "--digit 0-9 --each 1000 -o data",
        "tests/docs/test_code_blocks.py",
    ),
)
