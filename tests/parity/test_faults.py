"""A gate that lets a faulty export pass is worthless: every fault is caught, and named."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch

from digitvae.bundle import MANIFEST, write_manifest
from digitvae.errors import BundleError
from digitvae.model import Decoder
from digitvae.parity import ParityReport, verify

from . import faults
from .faults import DRAWS, demand, edit_every_tensor, edit_onnx, edit_tensor

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


ONNX_FAULTS: dict[str, tuple[str, Callable[[Any], object], list[str]]] = {
    # name: (network, fault, what the failures must say)
    "transposed weight": (
        "decoder",
        edit_tensor("output.weight", faults.transpose),
        ["decoder.onnx: weights", "output.weight", "ONNX Runtime, decoder x on prior draws"],
    ),
    "one weight off by 2¹² units in the last place": (
        "decoder",
        edit_tensor("hidden.weight", faults.flip_bit(77, 12)),
        ["decoder.onnx: weights", "hidden.weight", "[1, 37]"],
    ),
    "one flipped exponent bit": (
        "encoder",
        edit_tensor("fc_mu.weight", faults.flip_bit(1000, 24)),
        ["encoder.onnx: weights", "fc_mu.weight", "ONNX Runtime, encoder mu on"],
    ),
    "bias set to zero": (
        "decoder",
        edit_tensor("output.bias", np.zeros_like),
        ["decoder.onnx: weights", "output.bias", "ONNX Runtime, decoder x on prior draws"],
    ),
    "dropped bias": (
        "encoder",
        faults.drop_bias("fc_logvar"),
        ["encoder.onnx: weights", "fc_logvar.bias is missing", "ONNX Runtime, encoder logvar on"],
    ),
    "weights through float16": (
        "decoder",
        edit_every_tensor(faults.half_precision),
        ["decoder.onnx: weights", "hidden.weight", "ONNX Runtime, decoder x on prior draws"],
    ),
    "two latents swapped": (
        "decoder",
        edit_tensor("hidden.weight", lambda w: w[:, [1, 0, *range(2, 40)]]),
        ["decoder.onnx: weights", "hidden.weight", "ONNX Runtime, decoder x on prior draws"],
    ),
    "Sigmoid became HardSigmoid": (
        "decoder",
        faults.replace_operator("Sigmoid", "HardSigmoid"),
        ["ONNX Runtime, decoder x on prior draws", "native engine, decoder x on prior draws"],
    ),
    "Relu became LeakyRelu": (
        "encoder",
        faults.replace_operator("Relu", "LeakyRelu", alpha=1e-3),
        ["ONNX Runtime, encoder mu on", "ONNX Runtime, encoder logvar on"],
    ),
    "mu and logvar computed for each other": (
        "encoder",
        faults.swap_results("mu", "logvar"),
        ["ONNX Runtime, encoder mu on", "native engine, encoder logvar on"],
    ),
    "outputs listed in another order": (
        "encoder",
        faults.swap_order,
        ["encoder.onnx: outputs", "the order is logvar, mu"],
    ),
    "logvar halved": (
        "encoder",
        faults.scale_result("logvar", 0.5),
        ["encoder.onnx: weights", "unknown tensors: factor", "ONNX Runtime, encoder logvar on"],
    ),
    "means too large by a 30,000th": (
        "encoder",
        faults.scale_result("mu", 1 + 2.0**-15),
        ["ONNX Runtime, encoder mu on decoded prior draws", "times the limit from eager"],
    ),
    "pixels too dark by a 250,000th": (
        "decoder",
        faults.scale_result("x", 1 - 2.0**-18),
        ["native engine, decoder x on prior draws", "times the limit from eager"],
    ),
    "random operator": (
        "decoder",
        faults.add_noise_times_zero,
        ["decoder.onnx: has no random operators", "RandomNormalLike"],
    ),
    "constant batch": (
        "decoder",
        faults.fix_batch,
        ["decoder.onnx: inputs", "z is float32 [1, 40], expected float32 [batch, 40]"],
    ),
    "metadata of another size": (
        "decoder",
        lambda model: setattr(model.metadata_props[1], "value", "41"),
        ["decoder.onnx: metadata", "digitvae.latent_dim is 41, expected 40"],
    ),
    "metadata missing": (
        "encoder",
        lambda model: model.ClearField("metadata_props"),
        ["encoder.onnx: metadata", "digitvae.schema is missing"],
    ),
    "weight stored transposed": (
        "decoder",
        faults.store_transposed("hidden"),
        ["hidden.weight is float32 [40, 512], expected float32 [512, 40]"],
    ),
    "operators of a vendor": (
        "decoder",
        lambda model: model.opset_import.add(domain="com.microsoft", version=1),
        ["decoder.onnx: uses only the standard operators", "com.microsoft 1"],
    ),
    "operator set too old": (
        "decoder",
        lambda model: setattr(model.opset_import[0], "version", 17),
        ["decoder.onnx: uses only the standard operators", "ai.onnx 17"],
    ),
    "local path": (
        "decoder",
        lambda model: setattr(model.graph.node[0], "doc_string", "/home/me/model.py, line 1"),
        ["bundle: no file holds a local path", "decoder.onnx: /home/me/model.py"],
    ),
    "path of this machine after a letter, as length-prefixed formats have it": (
        "decoder",
        lambda model: setattr(model.graph, "doc_string", f"A{Path(sys.prefix)}/lib/model.py"),
        ["bundle: no file holds a local path", "decoder.onnx: /", "/lib/model.py"],
    ),
    "local path of Windows": (
        "encoder",
        lambda model: setattr(model.graph, "doc_string", r"C:\Users\me\model.py"),
        ["bundle: no file holds a local path", r"encoder.onnx: C:\Users\me\model.py"],
    ),
    "input of another name": (
        "decoder",
        lambda model: _rename_input(model, "latent"),
        ["decoder.onnx: inputs", "z is missing", "ONNX Runtime, decoder x on prior draws"],
    ),
}


def _rename_input(model: Any, name: str) -> None:
    for node in model.graph.node:
        node.input[:] = [name if given == "z" else given for given in node.input]
    model.graph.input[0].name = name


def check(folder: Path, nowhere: Path) -> ParityReport:
    faults.redo_hashes(folder)
    return verify(folder, draws=DRAWS, data_root=nowhere)


@pytest.mark.parametrize("fault", ONNX_FAULTS)
def test_a_fault_in_an_onnx_file_is_caught_and_named(
    fault: str, copy: Callable[[], Path], nowhere: Path
) -> None:
    network, edit, wanted = ONNX_FAULTS[fault]
    folder = copy()
    edit_onnx(folder, network, edit)
    report = check(folder, nowhere)
    demand(report, wanted)
    other = {"decoder": "encoder", "encoder": "decoder"}[network]
    for failure in map(str, report.failures):
        assert not failure.startswith((f"{other}.onnx", "TorchScript", "ExportedProgram")), failure
        assert f"{other} " not in failure.split(":", maxsplit=1)[0], failure


def test_an_external_tensor_is_caught(copy: Callable[[], Path], nowhere: Path) -> None:
    folder = copy()
    model = onnx.load(folder / "decoder.onnx")
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    (folder / "decoder.onnx").write_bytes(model.SerializeToString())
    demand(check(folder, nowhere), [f"decoder.onnx: has no external data: failed ({tensor.name})"])


def test_weights_that_happen_to_spell_a_path_are_no_path(
    copy: Callable[[], Path], nowhere: Path
) -> None:
    folder = copy()
    edit_onnx(
        folder, "decoder", edit_tensor("hidden.weight", faults.write_text(b"/home/me/model.py"))
    )
    failures = check(folder, nowhere).failures
    assert failures
    assert not [failure for failure in failures if "local path" in str(failure)]


class _HardDecoder(Decoder):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.hardsigmoid(self.logits(z))


def _hard_decoder(folder: Path) -> torch.nn.Module:
    network = _HardDecoder().requires_grad_(requires_grad=False).eval()
    network.load_state_dict(faults.load_model(folder).decoder.state_dict())
    return network


def test_a_torchscript_that_computes_something_else_is_caught(
    copy: Callable[[], Path], nowhere: Path
) -> None:
    folder = copy()
    faults.save_torchscript(folder, "decoder", _hard_decoder(folder))
    demand(
        check(folder, nowhere), ["TorchScript, decoder x on prior draws", "PyTorch eager's bits"]
    )


def test_a_torchscript_with_another_bit_in_one_weight_is_caught(
    copy: Callable[[], Path], nowhere: Path
) -> None:
    folder = copy()
    network = faults.load_model(folder).encoder
    network.hidden.bias.numpy().view(np.uint32)[5] ^= 1
    faults.save_torchscript(folder, "encoder", network)
    demand(check(folder, nowhere), ["encoder.torchscript: weights", "hidden.bias", "[5]"])


def test_an_exported_program_that_computes_something_else_is_caught(
    copy: Callable[[], Path], nowhere: Path
) -> None:
    folder = copy()
    faults.save_program(folder, "decoder", _hard_decoder(folder), 40)
    report = check(folder, nowhere)
    demand(report, ["ExportedProgram, decoder x on prior draws"])
    assert not [f for f in report.failures if str(f).startswith(("TorchScript", "ONNX", "native"))]


def test_torch_exports_that_hold_local_paths_are_caught(
    copy: Callable[[], Path], nowhere: Path
) -> None:
    # PyTorch's own way of saving notes where its sources lie.
    folder = copy()
    model = faults.load_model(folder)
    faults.save_torchscript(folder, "encoder", model.encoder)
    faults.save_program(folder, "decoder", model.decoder, 40)
    report = check(folder, nowhere)
    demand(
        report, ["bundle: no file holds a local path", "encoder.torchscript: /", "decoder.pt2: /"]
    )
    assert len(report.failures) == 1


def test_weights_that_are_not_those_of_the_export_are_caught(
    copy: Callable[[], Path], nowhere: Path
) -> None:
    folder = copy()
    faults.nudge_shipped_weight(folder)
    demand(
        check(folder, nowhere),
        [f"decoder.{form}: weights" for form in ("onnx", "torchscript", "pt2")] + ["output.bias"],
    )


@pytest.mark.parametrize(
    "name", ["decoder.onnx", "decoder.torchscript", "encoder.pt2", "encoder.onnx"]
)
def test_a_file_that_was_exported_only_in_part_is_caught(
    name: str, copy: Callable[[], Path], nowhere: Path
) -> None:
    # The manifest agrees with the truncated file: only loading it can tell.
    folder = copy()
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    demand(check(folder, nowhere), [f"{name}: "])


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.torchscript"])
def test_a_form_that_the_bundle_lacks_is_caught(
    name: str, copy: Callable[[], Path], nowhere: Path
) -> None:
    folder = copy()
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / name).unlink()
    del manifest["files"][name]
    write_manifest(folder, manifest)
    if name in ("encoder.onnx", "decoder.onnx"):
        with pytest.raises(BundleError, match=name):  # not even a bundle
            verify(folder, draws=1, data_root=nowhere)
    else:
        demand(check(folder, nowhere), [f"{name}: can be loaded", "does not list it"])


@pytest.mark.parametrize("name", ["decoder.onnx", "decoder.torchscript", "weights.safetensors"])
def test_a_stale_hash_ends_the_verification_before_anything_is_loaded(
    name: str, copy: Callable[[], Path], nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy()
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)

    def loaded(*_: object, **__: object) -> None:
        pytest.fail("TorchScript was loaded although a hash was wrong")

    monkeypatch.setattr(torch.jit, "load", loaded)
    with pytest.raises(BundleError, match=f"{name} was changed"):
        verify(folder, draws=1, data_root=nowhere)


def test_a_truncated_file_is_named(copy: Callable[[], Path], nowhere: Path) -> None:
    folder = copy()
    content = (folder / "encoder.pt2").read_bytes()
    (folder / "encoder.pt2").write_bytes(content[:-1])
    with pytest.raises(BundleError, match=r"encoder\.pt2 is truncated"):
        verify(folder, draws=1, data_root=nowhere)


def test_the_checks_are_not_upset_by_what_does_not_matter(
    copy: Callable[[], Path], nowhere: Path
) -> None:
    folder = copy()

    def rename(model: Any) -> None:
        model.producer_name, model.graph.name = "another exporter", "another name"
        for i, node in enumerate(model.graph.node):
            node.name = f"node {i}"
        model.graph.doc_string = "see https://example.org/docs/model.html"
        tensors = list(model.graph.initializer)[::-1]
        del model.graph.initializer[:]
        model.graph.initializer.extend(tensors)

    for network in ("decoder", "encoder"):
        edit_onnx(folder, network, rename)
    report = check(folder, nowhere)
    assert report.passed, report.summary()
