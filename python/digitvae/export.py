"""Turn a finished run into a bundle: ONNX for native code, TorchScript and .pt2 for PyTorch.

Only the two deterministic networks are exported, encoder (x → μ, log σ²) and decoder (z → x); the
noise between them lives outside, with a specified generator. The same run gives the same bytes
each time: no dates, no paths, no order that depends on a hash seed.
"""

from __future__ import annotations

import copy
import io
import os
import shutil
import tempfile
import warnings
from contextlib import contextmanager
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors

from digitvae import run
from digitvae.bundle import MANIFEST, SCHEMA, Bundle, describe_files, write_manifest
from digitvae.errors import OutputError, ParityError, TrainingError
from digitvae.model import HEIGHT, HIDDEN, LATENTS, PIXELS, VAE, WIDTH
from digitvae.train import Summary, read_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from digitvae.parity import ParityReport

OPSET = 18  # the oldest that bundles allow: the most runtimes can read it
PARITY = "parity.json"

# What torch.export notes about where a node came from: file names, line numbers, source text.
_PROVENANCE = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")


def export_run(
    run_dir: str | Path,
    bundle_dir: str | Path,
    *,
    force: bool = False,
    allow_collapsed: bool = False,
    data_root: str | Path | None = None,
    quick: bool = False,
    say: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> Path:
    """Export a finished run, verify the result, and only then give it its name.

    Args:
        run_dir: A finished run directory.
        bundle_dir: The bundle to make.
        force: Replace the bundle that is there. Anything else that is there is never replaced.
        allow_collapsed: Export a model whose posterior has collapsed.
        data_root: Where the data set for the verification is; ``None`` for the cache.
        quick: Verify with fewer inputs (``digitvae verify --quick``).
        say: Called with one line at each step.
        on_progress: Called before each step of the verification.

    Returns:
        The bundle's folder.

    Raises:
        ValueError: The environment variable SOURCE_DATE_EPOCH is no number of seconds.
        TrainingError: The run is missing, unfinished, damaged, or collapsed.
        OutputError: ``bundle_dir`` is taken or cannot be written.
        ParityError: An exported form does not compute what PyTorch computes; nothing is left.
    """
    source, target = Path(run_dir), Path(bundle_dir).absolute()
    summary = read_summary(source)
    if summary.test.collapsed and not allow_collapsed:
        raise TrainingError(
            f"{source}: {summary.test.collapse_message()}. Train with --objective elbo, or export "
            "it nevertheless with --allow-collapsed"
        )
    weights, model = _load_weights(source / run.WEIGHTS)
    manifest = _manifest(summary)
    _check_target(target, force=force)
    scratch: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        folder = scratch / "bundle"
        folder.mkdir()
        write_networks(folder, model, weights, summary.config.dataset, say)
        say("verifying that every form computes what PyTorch computes")
        _verify(folder, manifest, data_root, quick=quick, on_progress=on_progress)
        _put_in_place(folder, target, scratch)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error}") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def onnx_bytes(network: nn.Module, argument: str, outputs: list[str], dataset: str) -> bytes:
    """A network as one ONNX file with our metadata and without PyTorch's.

    Args:
        network: ``Encoder`` or ``Decoder``.
        argument: Name of its input, which is also the name of its argument.
        outputs: Names of its outputs.
        dataset: For the metadata.
    """
    batch = torch.export.Dim("batch")
    with _quiet():
        program = torch.onnx.export(
            network,
            (_example(argument),),
            dynamo=True,
            external_data=False,
            input_names=[argument],
            output_names=outputs,
            dynamic_shapes={argument: {0: batch}},
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise ParityError("the ONNX exporter of PyTorch returned no model")
    model = program.model_proto
    # Every note about origins holds paths of this machine or names of Python objects.
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
        value.ClearField("doc_string")
    for node in model.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
        attributes = sorted(node.attribute, key=lambda attribute: str(attribute.name))
        del node.attribute[:]
        node.attribute.extend(attributes)  # in one order, whatever the exporter's is
    facts = {
        "schema": SCHEMA,
        "latent_dim": LATENTS,
        "height": HEIGHT,
        "width": WIDTH,
        "dataset": dataset,
    }
    for name, value in facts.items():
        model.metadata_props.add(key=f"digitvae.{name}", value=str(value))
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def torchscript_bytes(network: nn.Module) -> bytes:
    """A network as TorchScript, without the debug records that name its source files."""
    network = copy.deepcopy(network)
    for layer in network.modules():
        # The compiler would keep these names in a set and write them in its order, which differs
        # from process to process. Without them, a layer's sizes are attributes, in their order.
        layer.__dict__["__constants__"] = []
    whole, stripped = io.BytesIO(), io.BytesIO()
    with _quiet():  # deprecated upstream; the .pt2 beside it is where users can go
        torch.jit.save(torch.jit.script(network), whole)
    whole.seek(0)
    reader = torch._C.PyTorchFileReader(whole)
    writer = torch._C.PyTorchFileWriter(stripped)
    for name in reader.get_all_records():
        # The writer adds version and serialization id itself.
        if not name.endswith(".debug_pkl") and name not in ("version", ".data/serialization_id"):
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    return stripped.getvalue()


def exported_program_bytes(network: nn.Module, argument: str) -> bytes:
    """A network as an ExportedProgram (.pt2), without the stack traces of its nodes."""
    batch = torch.export.Dim("batch")
    content = io.BytesIO()
    with _quiet():
        program = torch.export.export(
            network, (_example(argument),), dynamic_shapes={argument: {0: batch}}
        )
        for node in program.graph.nodes:
            for key in _PROVENANCE:
                node.meta.pop(key, None)
        torch.export.save(program, content)
    return content.getvalue()


def write_networks(
    folder: Path,
    model: VAE,
    weights: bytes,
    dataset: str,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Write the weights and both networks in every form into a folder, but no manifest.

    Args:
        folder: Where to; files of the same names are replaced.
        model: With the weights.
        weights: The content of ``weights.safetensors``.
        dataset: For the metadata.
        say: Called with one line at each step.
    """
    (folder / run.WEIGHTS).write_bytes(weights)
    networks: list[tuple[str, nn.Module, str, list[str]]] = [
        ("decoder", model.decoder, "z", ["x"]),
        ("encoder", model.encoder, "x", ["mu", "logvar"]),
    ]
    for name, network, argument, outputs in networks:
        say(f"exporting the {name}")
        forms = {
            f"{name}.onnx": onnx_bytes(network, argument, outputs, dataset),
            f"{name}.torchscript": torchscript_bytes(network),
            f"{name}.pt2": exported_program_bytes(network, argument),
        }
        for file, content in forms.items():
            (folder / file).write_bytes(content)


def _verify(
    folder: Path,
    manifest: dict[str, Any],
    data_root: str | Path | None,
    *,
    quick: bool,
    on_progress: Callable[[int, int, str], None] | None,
) -> None:
    """Write the manifest, verify, add the report, and write the manifest that knows it too."""
    from digitvae.parity import verify

    names = [file.name for file in folder.iterdir()]
    write_manifest(folder, manifest | {"files": describe_files(folder, names)})
    report = verify(folder, quick=quick, data_root=data_root, on_progress=on_progress)
    if not report.passed:
        raise ParityError(f"nothing was exported: {report.summary()}")
    write_report(folder, report)


def write_report(folder: Path, report: ParityReport, *, force: bool = False) -> None:
    """Put the report of a bundle into it, as ``parity.json``, and make the manifest know it.

    Args:
        folder: The bundle.
        report: Of its verification.
        force: Replace even the report of a verification that looked at more.

    Raises:
        BundleError: The folder is not an intact bundle.
        OutputError: It cannot be written.
        ParityError: The report that is there looked at more.
    """
    bundle = Bundle.open(folder)
    bundle.check_files()
    if PARITY in bundle.file_names and not force:
        from digitvae.parity.baseline import refuse_less

        refuse_less(report, bundle.read(PARITY))
    run.write_json(bundle.path / PARITY, report.to_dict())
    files = bundle.manifest["files"] | describe_files(bundle.path, [PARITY])
    write_manifest(bundle.path, bundle.manifest | {"files": files})
    Bundle.open(bundle.path).check_files()


def _manifest(summary: Summary) -> dict[str, Any]:
    """Everything but the files."""
    config = summary.config
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "dims": {"latent": LATENTS, "hidden": HIDDEN, "height": HEIGHT, "width": WIDTH},
        "dataset": config.dataset,
        "objective": config.objective,
        "seed": config.seed,
        "epochs": config.epochs,
        "training": {
            "batch_size": config.batch_size,
            "learning_rate": config.learning_rate,
            "warmup_epochs": config.warmup_epochs,
            "anneal_epochs": config.anneal_epochs,
            "limit": config.limit,
        },
        "metrics": {f"test_{name}": value for name, value in summary.test.to_dict().items()},
        "versions": run.versions()
        | {name: version(name) for name in ("onnx", "onnxscript", "safetensors")},
    }
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        try:
            created = datetime.fromtimestamp(int(epoch), timezone.utc)
        except (ValueError, OverflowError, OSError) as error:
            raise ValueError(f"SOURCE_DATE_EPOCH: {epoch!r}; expected seconds: {error}") from error
        manifest["created"] = created.isoformat()
    return manifest


def _load_weights(path: Path) -> tuple[bytes, VAE]:
    model = VAE().requires_grad_(requires_grad=False).eval()
    try:
        content = path.read_bytes()
        state = load_safetensors(content)
        model.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise TrainingError(f"{path}: not the weights of this model: {error}") from error
    for name, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise TrainingError(f"{path}: {name} is not finite everywhere")
    return content, model


def _check_target(target: Path, *, force: bool) -> None:
    if not os.path.lexists(target):
        return
    if target.is_dir() and not target.is_symlink():
        if not any(target.iterdir()):
            return
        if (target / MANIFEST).is_file():
            if force:
                return
            raise OutputError(f"{target}: there is a bundle already; --force replaces it")
    raise OutputError(f"{target}: exists and is not a bundle, so it is not replaced")


def _put_in_place(folder: Path, target: Path, scratch: Path) -> None:
    """Rename the finished folder to its name; what had the name before is kept until then."""
    for file in folder.iterdir():
        with file.open("rb") as written:
            os.fsync(written.fileno())
    before = scratch / "before"
    if target.exists():
        target.rename(before)
    try:
        folder.rename(target)
    except BaseException:
        if before.exists():
            before.rename(target)
        raise


def _example(argument: str) -> Tensor:
    """An input for tracing; two rows, because a batch of one would be taken for a constant."""
    return torch.zeros(2, {"z": LATENTS, "x": PIXELS}[argument])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back warnings that PyTorch's exporters raise about themselves, and no others."""
    with warnings.catch_warnings():
        for category in (FutureWarning, DeprecationWarning, UserWarning):
            warnings.simplefilter("ignore", category)
        yield
