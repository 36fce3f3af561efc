"""Faulty exports: what can go wrong between a trained model and its files, on purpose.

Each mutant says which words the verification must find for it: the file or the runtime, and the place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from digitvae.bundle.dims import Dims
from digitvae.parity.gate import edits, engines
from digitvae.parity.gate.edits import Copy, Edit, edit_every_tensor, edit_tensor
from digitvae.parity.gate.engines import FaultyEngine
from digitvae.vae.model import VAE, Decoder

BIT_FLIPS = 50


def all_mutants(dims: Dims, *, prior: bool = True) -> list[Copy]:
    """Every mutant of bundles of these sizes, with a prior or without, the same ones each time."""
    sizes = dims._asdict() | {"pixels": dims.pixels}
    return [
        *(
            _in_onnx(network, name, edit, *(words.format_map(sizes) for words in wanted))
            for network, name, edit, *wanted in _ONNX_FAULTS
        ),
        *_bit_flips(dims),
        *_FILE_FAULTS,
        *(_PRIOR_FAULTS if prior else ()),
        *_ENGINE_FAULTS,
    ]


def _in_onnx(network: str, name: str, edit: Edit, *wanted: str) -> Copy:
    change = partial(edits.edit_onnx, name=network, edit=edit)
    return Copy(f"{network}.onnx: {name}", wanted, change, onnx=network)


def _rename_input(model: Any) -> None:
    name = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["latent" if given == name else given for given in node.input]
    model.graph.input[0].name = "latent"


def _swap_biases(model: Any) -> None:
    """The biases of two layers of one size, each in the other's place."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    first, second = tensors["fc_mu.bias"], tensors["fc_logvar.bias"]
    first.raw_data, second.raw_data = second.raw_data, first.raw_data


def _external(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


def _say(text: str) -> Edit:
    return lambda model: setattr(model.graph.node[0], "doc_string", text)


_DECODER_LOOKS = "decoder x on prior draws: failed"
_MU, _LOGVAR = (
    "encoder mu on decoded prior draws: failed",
    "encoder logvar on decoded prior draws: failed",
)
_WEIGHTS = "weights equal weights.safetensors bit for bit: failed"

_ONNX_FAULTS: list[tuple[Any, ...]] = [
    # network, name, fault, what the failures must say, the bundle's sizes by name
    ("decoder", "transposed weight", edit_tensor("output.weight", edits.transpose),
     f"decoder.onnx: {_WEIGHTS} (output.weight", _DECODER_LOOKS, "leaves it at node_linear_1"),
    ("encoder", "transposed weight", edit_tensor("fc_mu.weight", edits.transpose),
     f"encoder.onnx: {_WEIGHTS} (fc_mu.weight", _MU, "leaves it at node_linear_1"),
    ("decoder", "one weight off by 2¹² units in the last place",
     edit_tensor("hidden.weight", edits.add_units((1, 2), 1 << 12)),
     f"decoder.onnx: {_WEIGHTS} (hidden.weight", "[1, 2]"),
    ("encoder", "one weight off by 2¹² units in the last place",
     edit_tensor("fc_logvar.weight", edits.add_units((1, 3), 1 << 12)),
     f"encoder.onnx: {_WEIGHTS} (fc_logvar.weight", "[1, 3]"),
    ("decoder", "two latents swapped", edit_tensor("hidden.weight", lambda w: _swap_first_two(w.T).T),
     f"decoder.onnx: {_WEIGHTS} (hidden.weight", _DECODER_LOOKS, "leaves it at node_linear ("),
    ("encoder", "two pixels swapped", edit_tensor("hidden.weight", lambda w: w[:, _two_swapped(w)]),
     f"encoder.onnx: {_WEIGHTS} (hidden.weight", _MU, "leaves it at node_linear ("),
    ("decoder", "bias set to zero", edit_tensor("output.bias", np.zeros_like),
     f"decoder.onnx: {_WEIGHTS} (output.bias", _DECODER_LOOKS, "leaves it at node_linear_1"),
    ("encoder", "bias dropped", edits.drop_bias("fc_logvar"),
     f"encoder.onnx: {_WEIGHTS} (fc_logvar.bias is missing", _LOGVAR, "leaves it at node_linear_2"),
    ("decoder", "bias dropped", edits.drop_bias("hidden"),
     f"decoder.onnx: {_WEIGHTS} (hidden.bias is missing", _DECODER_LOOKS, "leaves it at node_linear ("),
    ("encoder", "biases of two layers swapped", _swap_biases,
     f"encoder.onnx: {_WEIGHTS} (fc_mu.bias", _MU, _LOGVAR),
    ("decoder", "ReLU → LeakyReLU(10⁻³)", edits.replace_operator("Relu", "LeakyRelu", alpha=1e-3),
     _DECODER_LOOKS, "decoder.onnx", "leaves it at node_relu (LeakyRelu)"),
    ("encoder", "ReLU → LeakyReLU(10⁻³)", edits.replace_operator("Relu", "LeakyRelu", alpha=1e-3),
     _MU, _LOGVAR, "leaves it at node_relu (LeakyRelu)"),
    ("decoder", "Sigmoid → HardSigmoid", edits.replace_operator("Sigmoid", "HardSigmoid"),
     _DECODER_LOOKS, "native engine, decoder x", "leaves it at node_sigmoid (HardSigmoid)"),
    ("decoder", "weights through float16", edit_every_tensor(edits.half_precision),
     f"decoder.onnx: {_WEIGHTS} (hidden.weight", _DECODER_LOOKS, "leaves it at node_linear ("),
    ("encoder", "weights through float16", edit_every_tensor(edits.half_precision),
     f"encoder.onnx: {_WEIGHTS} (hidden.weight", _MU, "leaves it at node_linear ("),
    ("encoder", "log σ² halved", edits.scale_result("logvar", 0.5),
     "unknown tensors: factor", _LOGVAR, "(Mul); logvar.raw agrees"),
    ("encoder", "μ and log σ² in each other's place", edits.swap_results("mu", "logvar"),
     _MU, _LOGVAR, "output mu holds what the model computes in"),
    ("encoder", "outputs in another order", edits.swap_order,
     "encoder.onnx: outputs are as specified: failed", "the order is logvar, mu"),
    ("encoder", "means too large by 2⁻¹⁵", edits.scale_result("mu", 1 + 2.0**-15),
     _MU, "times the noise limit", "(Mul); mu.raw agrees"),
    ("decoder", "pixels too dark by 2⁻¹⁸", edits.scale_result("x", 1 - 2.0**-18),
     _DECODER_LOOKS, "times the noise limit", "unknown tensors: factor"),
    ("decoder", "random operator", edits.add_noise_times_zero,
     "decoder.onnx: is valid ONNX: failed (the model uses the operator 'RandomNormalLike'"),
    ("decoder", "constant batch", edits.fix_batch,
     "decoder.onnx: inputs are as specified: failed", "float32 [1, {latents}], expected float32 [batch, {latents}]"),
    ("encoder", "constant batch", edits.fix_batch,
     "encoder.onnx: inputs are as specified: failed", "float32 [1, {pixels}]"),
    ("decoder", "input of another name", _rename_input,
     "decoder.onnx: inputs are as specified: failed", "z is missing", _DECODER_LOOKS),
    ("decoder", "weight stored transposed", edits.store_transposed("hidden"),
     "hidden.weight is float32 [{latents}, {hidden}], expected float32 [{hidden}, {latents}]"),
    ("decoder", "operators of a vendor",
     lambda model: model.opset_import.add(domain="com.microsoft", version=1),
     "decoder.onnx: uses only the standard operators", "com.microsoft 1"),
    ("decoder", "operator set too old",
     edits.set_opset(17),
     "decoder.onnx: uses only the standard operators", "ai.onnx 17"),
    ("decoder", "metadata of another size",
     lambda model: setattr(model.metadata_props[1], "value", "0"),
     "decoder.onnx: metadata are as specified: failed", "digitvae.latent_dim is 0, expected {latents}"),
    ("encoder", "no metadata", lambda model: model.ClearField("metadata_props"),
     "encoder.onnx: metadata are as specified: failed", "digitvae.schema is missing"),
    ("decoder", "external data", _external, "decoder.onnx: is valid ONNX: failed"),
    ("decoder", "local path", _say("/home/me/model.py, line 1"),
     "bundle: no file holds a local path: failed", "decoder.onnx: /home/me/model.py"),
    ("encoder", "local path of Windows", _say(r"C:\Users\me\model.py"),
     "bundle: no file holds a local path: failed", r"encoder.onnx: C:\Users\me\model.py"),
]  # fmt: skip


def _two_swapped(weight: Any) -> Any:
    """The order of columns with the two that weigh most swapped."""
    order = np.arange(weight.shape[1])
    heaviest = np.abs(weight).sum(axis=0).argsort()[-2:]
    order[heaviest] = heaviest[::-1]
    return order


def _bit_flips(dims: Dims) -> list[Copy]:
    """One flipped bit in each of 50 weights, chosen at random among all parameters."""
    rng = np.random.default_rng(50)
    with torch.device("meta"):
        model = VAE(dims)
    sizes = {
        (network, name): tuple(parameter.shape)
        for network in ("decoder", "encoder")
        for name, parameter in getattr(model, network).named_parameters()
    }
    mutants = []
    for (network, tensor), shape in islice(cycle(sizes.items()), BIT_FLIPS):
        index = int(rng.integers(np.prod(shape)))
        bit = int(rng.integers(32))
        where = [int(axis) for axis in np.unravel_index(index, shape)]
        mutants.append(
            _in_onnx(
                network,
                f"bit {bit} of {tensor}{where} flipped",
                edit_tensor(tensor, edits.flip_bit(index, bit)),
                f"{network}.onnx: {_WEIGHTS} ({tensor}",
                f"first at {where}",
            )
        )
    return mutants


class _HardDecoder(Decoder):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.hardsigmoid(self.logits(z))


def _hard_decoder(folder: Path) -> Decoder:
    model = edits.load_model(folder)
    network = _HardDecoder(model.dims).requires_grad_(requires_grad=False).eval()
    network.load_state_dict(model.decoder.state_dict())
    return network


def _one_bit(
    save: Callable[[Path, str, Any], None], network: str, tensor: str, place: Any, folder: Path
) -> None:
    """Export a network again with the last bit of one value flipped."""
    changed = edits.load_network(folder, network)
    changed.state_dict()[tensor].numpy().view(np.uint32)[place] ^= 1
    save(folder, network, changed)


def _paths_in_torch_exports(folder: Path) -> None:
    """PyTorch's own way of saving notes where its sources lie."""
    model = edits.load_model(folder)
    edits.save_torchscript(folder, "encoder", model.encoder)
    edits.save_program(folder, "decoder", model.decoder)


def _truncate(name: str, folder: Path) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])


def _alter(name: str, folder: Path) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)


_FILE_FAULTS = [
    Copy("decoder.torchscript: Sigmoid → HardSigmoid",
           ("TorchScript, decoder x on prior draws: failed", "PyTorch eager's bits",
            "decoder.torchscript: agrees with the model at every node: failed", "aten::hardsigmoid"),
           lambda folder: edits.save_torchscript(folder, "decoder", _hard_decoder(folder))),
    Copy("encoder.torchscript: one other bit",
           (f"encoder.torchscript: {_WEIGHTS} (hidden.bias", "[5]"),
           partial(_one_bit, edits.save_torchscript, "encoder", "hidden.bias", 5)),
    Copy("decoder.pt2: Sigmoid → HardSigmoid",
           ("ExportedProgram, decoder x on prior draws: failed",
            "decoder.pt2: agrees with the model at every node: failed", "hardsigmoid"),
           lambda folder: edits.save_program(folder, "decoder", _hard_decoder(folder))),
    Copy("decoder.pt2: one other bit", (f"decoder.pt2: {_WEIGHTS} (output.bias", "[7]"),
           partial(_one_bit, edits.save_program, "decoder", "output.bias", 7)),
    Copy("torch exports with local paths",
           ("bundle: no file holds a local path: failed", "encoder.torchscript: /", "decoder.pt2: /"),
           _paths_in_torch_exports),
    Copy("weights.safetensors of another model",
           (f"decoder.onnx: {_WEIGHTS} (output.bias", f"decoder.torchscript: {_WEIGHTS}",
            f"decoder.pt2: {_WEIGHTS}"),
           edits.nudge_shipped_weight),
    *(Copy(f"{name}: half of it, with the right hash", (f"{name}: ",), partial(_truncate, name))
      for name in ("decoder.onnx", "decoder.torchscript", "encoder.pt2", "encoder.onnx")),
    *(Copy(f"{name}: truncated", (f"{name} is truncated",), partial(_truncate, name),
             keeps_hashes=True)
      for name in ("decoder.onnx", "weights.safetensors", "encoder.pt2")),
    *(Copy(f"{name}: stale hash", (f"{name} was changed",), partial(_alter, name),
             keeps_hashes=True)
      for name in ("decoder.onnx", "encoder.torchscript", "weights.safetensors")),
]  # fmt: skip


def _swap_first_two(rows: Any) -> Any:
    return rows[[1, 0, *range(2, len(rows))]]


def _one_column_less(model: Any) -> None:
    (said,) = (item for item in model.metadata_props if item.key == "digitvae.noise_dim")
    said.value = str(int(said.value) - 1)


def _in_prior(name: str, tensor: str, change: Callable[[Any], Any], *wanted: str) -> Copy:
    damage = partial(edits.edit_onnx, name="prior", edit=edit_tensor(tensor, change))
    return Copy(f"prior.onnx: {name}", (f"prior.onnx: {_PARAMETERS} ({tensor}", *wanted), damage)


_PARAMETERS = "parameters equal prior.safetensors bit for bit: failed"
_LATENTS = "prior.onnx: gives the latents of float64 truth, rounded: failed"
_PRIOR_FAULTS = [
    _in_prior("transposed factors", "factors", edits.transpose, _LATENTS),
    _in_prior("two means swapped", "means", _swap_first_two, _LATENTS),
    _in_prior("the threshold of a component one unit in the last place too high", "thresholds",
              edits.add_units((0, 0), 1), _LATENTS),
    _in_prior("the threshold of a class too high", "class_thresholds", edits.add_units((-1,), 1 << 12),
              "prior.onnx: gives PyTorch's labels: failed"),
    _in_prior("components of two classes swapped", "first", _swap_first_two, _LATENTS),
    Copy("prior.onnx: noise of too few latents",
           ("prior.onnx: gives the specified latents through the C API, bit for bit: failed",),
           partial(edits.edit_onnx, name="prior", edit=_one_column_less)),
    Copy("prior.torchscript: one other bit", (f"prior.torchscript: {_PARAMETERS} (means", "[1, 2]"),
           partial(_one_bit, edits.save_torchscript, "prior", "means", (1, 2))),
    Copy("prior.pt2: half of it, with the right hash", ("prior.pt2: ",), partial(_truncate, "prior.pt2")),
]  # fmt: skip

_ENGINE_FAULTS = [
    Copy("engine: truncation instead of rounding", ("native engine: uint8 is round-half-even",),
           engine=partial(FaultyEngine, to_bytes=engines.truncated)),
    Copy("engine: wrong tile padding",
           ("native engine, decoder x on prior draws: failed", "in any batch, anywhere in it: failed"),
           engine=partial(FaultyEngine, spoil=engines.wrongly_padded)),
    Copy("engine: a bit that depends on threads",
           ("native engine, 3 threads, decoder x on prior draws: failed", "any number of threads"),
           engine=partial(FaultyEngine, spoil=engines.thread_dependent)),
    Copy("engine: a bit that depends on the place",
           ("native engine, decoder x on prior draws: failed", "in any batch, anywhere in it: failed"),
           engine=partial(FaultyEngine, spoil=engines.place_dependent)),
    Copy("engine: a pixel above 1", ("native engine: pixels lie in [0, 1]: failed",),
           engine=partial(FaultyEngine, spoil=engines.above_one)),
    Copy("engine: a pixel that is not a number",
           ("native engine, decoder x on prior draws: failed", "not a number"),
           engine=partial(FaultyEngine, spoil=engines.not_a_number)),
    Copy("engine: raises", ("native engine, decoder x on prior draws: failed", "no memory for the tiles"),
           engine=partial(FaultyEngine, spoil=engines.raising)),
    Copy("engine: counter off by one",
           ("native engine: sample is decode of latents, bit for bit: failed",
            "latents: are those of docs/random-numbers.md, bit for bit: failed"),
           engine=engines.OffByOne),
    Copy("engine: log σ² halved", ("native engine, encoder logvar on decoded prior draws: failed",),
           engine=engines.HalfOfLogvar),
]  # fmt: skip
