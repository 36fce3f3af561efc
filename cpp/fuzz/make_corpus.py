"""Make the small models that the C++ tests and the fuzzers start from.

    python -m cpp.fuzz.make_corpus          # from the root of the repository

writes ``cpp/fuzz/corpus/{models,calls}`` and ``cpp/tests/data/prior.onnx``;
`tests/native/test_corpus.py` holds them to this script. A name says what is wrong with a model:
``bad_…`` does not open as what follows, the others open and may misbehave when they run. Inputs
that a fuzzer found are kept beside them under names that begin with ``found_``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tests.native import toy_models

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "export" / "mnist"
MODELS = HERE / "corpus" / "models"
CALLS = HERE / "corpus" / "calls"
FUNCTIONS = 12  # in the switch of fuzz_calls.cpp
PRIOR = HERE.parent / "tests" / "data" / "prior.onnx"

TINY_LATENTS, TINY_HEIGHT, TINY_WIDTH, TINY_HIDDEN = 3, 4, 2, 5
CLASSES, COMPONENTS = 10, 2

FLOAT, INT64, DOUBLE = TensorProto.FLOAT, TensorProto.INT64, TensorProto.DOUBLE


def metadata(latents: int, height: int, width: int) -> dict[str, str]:
    """What a decoder or encoder says of itself."""
    return {
        "digitvae.schema": "digitvae-bundle/1",
        "digitvae.latent_dim": str(latents),
        "digitvae.height": str(height),
        "digitvae.width": str(width),
        "digitvae.dataset": "mnist",
    }


def prior_metadata(latents: int, labels: int = CLASSES) -> dict[str, str]:
    """What a prior says of itself."""
    return {
        "digitvae.schema": "digitvae-bundle/1",
        "digitvae.latent_dim": str(latents),
        "digitvae.labels": str(labels),
        "digitvae.dataset": "mnist",
    }


def model(
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    constants: dict[str, npt.NDArray[Any]],
    properties: dict[str, str],
    *,
    opset: int = 18,
) -> bytes:
    """The bytes of a model."""
    graph = helper.make_graph(
        nodes,
        "toy",
        inputs,
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    for key, value in properties.items():
        made.metadata_props.add(key=key, value=value)
    content: bytes = made.SerializeToString()
    return content


def value(name: str, shape: list[str | int] | None, element: int = FLOAT) -> Any:
    """An input or output."""
    return helper.make_tensor_value_info(name, element, shape)


def node(operator: str, inputs: list[str], outputs: str | list[str], **attributes: Any) -> Any:
    """One node."""
    return helper.make_node(
        operator, inputs, [outputs] if isinstance(outputs, str) else outputs, **attributes
    )


def tiny_decoder(  # each argument is one thing that may be wrong
    *,
    latents: int = TINY_LATENTS,
    z: str = "z",
    x: str = "x",
    element: int = FLOAT,
    shape: list[str | int] | None = None,
    opset: int = 18,
    properties: dict[str, str] | None = None,
    last: str = "Sigmoid",
    reshape: list[int] | None = None,
    extra_output: bool = False,
) -> bytes:
    """A decoder of two layers with 4 × 2 pixels."""
    random = np.random.default_rng(1)
    kind = np.float64 if element == DOUBLE else np.float32
    pixels = TINY_HEIGHT * TINY_WIDTH
    constants = {
        "w1": random.normal(size=(latents, TINY_HIDDEN)).astype(kind),
        "b1": random.normal(size=TINY_HIDDEN).astype(kind),
        "w2": random.normal(size=(TINY_HIDDEN, pixels)).astype(kind),
        "b2": random.normal(size=pixels).astype(kind),
    }
    nodes = [
        node("Gemm", [z, "w1", "b1"], "a"),
        node("Relu", ["a"], "h"),
        node("Gemm", ["h", "w2", "b2"], "logits"),
        node(last, ["logits"], x if reshape is None else "flat"),
    ]
    if reshape is not None:
        constants["target"] = np.array(reshape, np.int64)
        nodes.append(node("Reshape", ["flat", "target"], x))
    outputs = [value(x, shape or ["batch", pixels], element)]
    if extra_output:
        outputs.append(value("h", ["batch", TINY_HIDDEN], element))
    return model(
        nodes,
        [value(z, [1 if shape == [1, pixels] else "batch", latents], element)],
        outputs,
        constants,
        metadata(latents, TINY_HEIGHT, TINY_WIDTH) if properties is None else properties,
        opset=opset,
    )


def tiny_encoder(*, scale: float = 1.0) -> bytes:
    """An encoder of one layer for 4 × 2 pixels."""
    random = np.random.default_rng(2)
    pixels = TINY_HEIGHT * TINY_WIDTH
    constants = {
        f"w_{name}": random.normal(size=(pixels, TINY_LATENTS)).astype(np.float32)
        * np.float32(scale)
        for name in ("mu", "logvar")
    }
    return model(
        [node("MatMul", ["x", f"w_{name}"], name) for name in ("mu", "logvar")],
        [value("x", ["batch", pixels])],
        [value(name, ["batch", TINY_LATENTS]) for name in ("mu", "logvar")],
        constants,
        metadata(TINY_LATENTS, TINY_HEIGHT, TINY_WIDTH),
    )


def mixture(latents: int) -> dict[str, npt.NDArray[Any]]:
    """Weights, means and deviations of a class-conditional mixture, [class · component, …]."""
    random = np.random.default_rng(3)
    rows = CLASSES * COMPONENTS
    share = random.uniform(0.2, 0.8, size=(CLASSES, 1))
    weights = np.concatenate([share, 1 - share], axis=1)
    within = np.cumsum(weights, axis=1)
    within[:, -1] = 1.0
    overall = np.cumsum(weights.reshape(-1)) / CLASSES
    overall[-1] = 1.0
    return {
        "within": within.astype(np.float32),
        "overall": overall.astype(np.float32),
        "means": random.normal(size=(rows, latents)).astype(np.float32),
        "deviations": random.uniform(0.3, 0.7, size=(rows, latents)).astype(np.float32),
    }


def prior(
    latents: int,
    *,
    label_offset: int = 0,
    scale: float = 1.0,
    properties: dict[str, str] | None = None,
    digit_element: int = INT64,
) -> bytes:
    """A class-conditional mixture: z = mean + deviation · eps of the component that u chooses.

    With a digit, u chooses among its components; without (−1), among all.
    """
    constants = {
        **mixture(latents),
        "none": np.array(0, np.int64),
        "last": np.array([1], np.int64),
        "components": np.array(COMPONENTS, np.int64),
        "offset": np.array(label_offset, np.int64),
        "scale": np.array(scale, np.float32),
    }
    nodes = [
        node("Cast", ["digit"], "wanted", to=INT64),
        node("Unsqueeze", ["u", "last"], "u_column"),
        # How many cumulative weights lie at or below u is the number of the component.
        node("GreaterOrEqual", ["u_column", "overall"], "beyond_overall"),
        node("Cast", ["beyond_overall"], "overall_steps", to=INT64),
        node("ReduceSum", ["overall_steps", "last"], "any_component", keepdims=0),
        node("Max", ["wanted", "none"], "class"),
        node("Gather", ["within", "class"], "weights"),
        node("GreaterOrEqual", ["u_column", "weights"], "beyond_within"),
        node("Cast", ["beyond_within"], "within_steps", to=INT64),
        node("ReduceSum", ["within_steps", "last"], "step", keepdims=0),
        node("Mul", ["class", "components"], "class_start"),
        node("Add", ["class_start", "step"], "class_component"),
        node("Less", ["wanted", "none"], "any"),
        node("Where", ["any", "any_component", "class_component"], "component"),
        node("Gather", ["means", "component"], "mean"),
        node("Gather", ["deviations", "component"], "deviation"),
        node("Mul", ["deviation", "eps"], "spread"),
        node("Add", ["mean", "spread"], "latent"),
        node("Mul", ["latent", "scale"], "z"),
        node("Div", ["component", "components"], "found"),
        node("Add", ["found", "offset"], "label"),
    ]
    return model(
        nodes,
        [
            value("u", ["batch"]),
            value("digit", ["batch"], digit_element),
            value("eps", ["batch", latents]),
        ],
        [value("z", ["batch", latents]), value("label", ["batch"], INT64)],
        constants,
        prior_metadata(latents) if properties is None else properties,
    )


def exported(
    name: str,
    tables: dict[str, npt.NDArray[Any]],
    sizes: dict[str, int],
    properties: dict[str, str],
) -> bytes:
    """A model with the graph of one of the shipped bundle, and other tables.

    Args:
        name: Of its file.
        tables: Instead of the constants of the same names.
        sizes: Of the second dimension of its inputs and outputs, by their names.
        properties: Its metadata.
    """
    made = onnx.load_model_from_string((SHIPPED / name).read_bytes())
    for tensor in made.graph.initializer:
        if tensor.name in tables:
            tensor.CopyFrom(numpy_helper.from_array(tables[tensor.name], tensor.name))
    for found in (*made.graph.input, *made.graph.output):
        if found.name in sizes:
            found.type.tensor_type.shape.dim[1].dim_value = sizes[found.name]
    del made.graph.value_info[:], made.metadata_props[:]
    for node_ in made.graph.node:
        del node_.metadata_props[:]
        node_.doc_string = ""
    for key, text in properties.items():
        made.metadata_props.add(key=key, value=text)
    content: bytes = made.SerializeToString()
    return content


def exported_decoder() -> bytes:
    """A decoder whose last layer has the sparse product's smallest size, on every processor."""
    random = np.random.default_rng(5)
    height, width, hidden = 8, 14, 64
    shapes = {
        "hidden.weight": (hidden, TINY_LATENTS),
        "hidden.bias": (hidden,),
        "output.weight": (height * width, hidden),
        "output.bias": (height * width,),
    }
    tables = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    sizes = {"z": TINY_LATENTS, "x": height * width}
    return exported("decoder.onnx", tables, sizes, metadata(TINY_LATENTS, height, width))


def mixture_tables() -> dict[str, npt.NDArray[Any]]:
    """Three classes of 2, 3 and 1 components in three latents, of which two are drawn along."""
    random = np.random.default_rng(6)
    never = 2.0
    return {
        "class_thresholds": np.array([0.25, 0.75], np.float32),
        "thresholds": np.array(
            [
                *([0.5, never], [0.25, 0.5], [never, never]),  # within each class
                *([0.125, never], [0.375, 0.5], [never, never]),  # among all
            ],
            np.float32,
        ),
        "first": np.array([0, 2, 5], np.int64),
        "means": random.normal(size=(6, TINY_LATENTS)).astype(np.float32),
        "factors": random.normal(size=(6, 2, TINY_LATENTS)).astype(np.float32),
    }


def exported_mixture(**tables: npt.NDArray[Any]) -> bytes:
    """A mixture as it is exported, with some tables replaced."""
    used = mixture_tables() | tables
    labels, rank = len(mixture_tables()["first"]), used["factors"].shape[1]
    constants = {"val_7": np.array(labels, np.int64), "val_31": np.array([rank], np.int64)}
    sizes = {"eps": TINY_LATENTS, "z": TINY_LATENTS}
    properties = prior_metadata(TINY_LATENTS, labels) | {"digitvae.noise_dim": "2"}
    return exported("prior.onnx", used | constants, sizes, properties)


def _edited(edit: Callable[[Any], None]) -> bytes:
    """The mixture with its graph changed."""
    made = onnx.load_model_from_string(exported_mixture())
    edit(made.graph)
    content: bytes = made.SerializeToString()
    return content


def _lengthen(graph: Any) -> None:
    _tensor(graph, "means").raw_data += bytes(64)


def _wrap(graph: Any) -> None:
    """Give tables more components than any, and sizes whose products, modulo 2⁶⁴, are the same."""
    for tensor in (_tensor(graph, "means"), _tensor(graph, "factors")):
        components = 2**62 + 1
        latents = tensor.dims[0] * tensor.dims[-1] * pow(components, -1, 2**64) % 2**64
        tensor.dims[0], tensor.dims[-1] = components, (latents + 2**63) % 2**64 - 2**63


def _tensor(graph: Any, name: str) -> Any:
    return next(tensor for tensor in graph.initializer if tensor.name == name)


def _rename(graph: Any, old: str, new: str) -> None:
    for node_ in graph.node:
        for values in (node_.input, node_.output):
            values[:] = [new if value == old else value for value in values]


def _read_other_means(graph: Any) -> None:
    """The graph reads a table that differs from the one of the name in a last bit."""
    other = mixture_tables()["means"].copy()
    other[4, 2] = np.nextafter(other[4, 2], np.float32(9))
    _rename(graph, "means", "other")
    graph.initializer.append(numpy_helper.from_array(other, "other"))


def _read_constant_means(graph: Any) -> None:
    _rename(graph, "means", "other")
    tensor = numpy_helper.from_array(mixture_tables()["means"] + 1, "other")
    graph.node.insert(0, node("Constant", [], "other", value=tensor))


def _read_up_to(table: str, last: int) -> Callable[[Any], None]:
    """The last row of a table is never read: another one in its place."""

    def edit(graph: Any) -> None:
        reader = next(node_ for node_ in graph.node if table in node_.input)
        limited = node("Min", [reader.input[1], "last"], "limited")
        reader.input[1] = "limited"
        graph.node.insert(list(graph.node).index(reader), limited)
        graph.initializer.append(numpy_helper.from_array(np.array([last]), "last"))

    return edit


def _exclude_threshold(number: int) -> Callable[[Any], None]:
    def edit(graph: Any) -> None:
        compares = [node_ for node_ in graph.node if node_.op_type == "GreaterOrEqual"]
        compares[number].op_type = "Greater"

    return edit


def _double_labels(graph: Any) -> None:
    _rename(graph, "label", "class")
    graph.node.append(node("Add", ["class", "class"], "label"))


def _add_noise(graph: Any) -> None:
    _rename(graph, "z", "drawn")
    graph.node.append(node("Max", ["drawn", "eps"], "z"))


def other_mixtures() -> dict[str, bytes]:
    """Mixtures whose tables are sound, and whose graphs draw something else from them."""
    edits = {
        "class_boundary": _exclude_threshold(0),
        "step_boundary": _exclude_threshold(1),
        "last_first": _read_up_to("first", 1),
        "last_mean": _read_up_to("means", 4),
        "last_factor": _read_up_to("factors", 4),
        "labels": _double_labels,
        "noise": _add_noise,
    }
    return {name: _edited(edit) for name, edit in edits.items()}


def unfit_mixtures() -> dict[str, bytes]:
    """Mixtures of which our own code would read beyond a table, or other values than the graph."""
    good = mixture_tables()
    means, factors, thresholds = good["means"], good["factors"], good["thresholds"]
    last_class = thresholds.copy()
    last_class[2, 0] = 0.5
    among_all = thresholds.copy()
    among_all[5, 1] = 0.5
    wide = np.zeros((6, TINY_LATENTS + 1, TINY_LATENTS), np.float32)
    return {
        "boundaries": exported_mixture(class_thresholds=np.array([0.25], np.float32)),
        "rows_of_thresholds": exported_mixture(thresholds=thresholds[:5]),
        "more_rows": exported_mixture(thresholds=np.concatenate([thresholds, thresholds[:1]])),
        "no_thresholds": exported_mixture(thresholds=thresholds[:, :0]),
        "first_beyond": exported_mixture(first=np.array([0, 2, 6], np.int64)),
        "first_negative": exported_mixture(first=np.array([0, -1, 5], np.int64)),
        "first_float64": exported_mixture(first=good["first"].astype(np.float64)),
        "first_table": exported_mixture(first=good["first"][:, None]),
        "last_class": exported_mixture(thresholds=last_class),
        "among_all": exported_mixture(thresholds=among_all),
        "factors": exported_mixture(factors=factors[:5]),
        "latents_of_factors": exported_mixture(factors=factors[:, :, :2]),
        "rank": exported_mixture(factors=wide),
        "no_rank": exported_mixture(factors=factors[:, :0]),
        "float16_means": exported_mixture(means=means.astype(np.float16)),
        "int32_means": exported_mixture(means=means.view(np.int32)),
        "raw_size": _edited(_lengthen),
        "sizes_that_wrap": _edited(_wrap),
        "other_means": _edited(_read_other_means),
        "constant_means": _edited(_read_constant_means),
    }


def bad_decoders() -> dict[str, bytes]:
    """Decoders that must not open."""
    whole = tiny_decoder()
    good = metadata(TINY_LATENTS, TINY_HEIGHT, TINY_WIDTH)
    missing = {key: text for key, text in good.items() if key != "digitvae.latent_dim"}
    return {
        "input_name": tiny_decoder(z="latent"),
        "output_name": tiny_decoder(x="image"),
        "float64": tiny_decoder(element=DOUBLE),
        "fixed_batch": tiny_decoder(shape=[1, TINY_HEIGHT * TINY_WIDTH]),
        "rank_one": tiny_decoder(shape=["values"], reshape=[-1]),
        "rank_three": tiny_decoder(
            shape=["batch", TINY_HEIGHT, TINY_WIDTH], reshape=[-1, TINY_HEIGHT, TINY_WIDTH]
        ),
        "two_outputs": tiny_decoder(extra_output=True),
        "opset_from_the_future": tiny_decoder(opset=99),
        "no_metadata": tiny_decoder(properties={}),
        "no_latent_dim": tiny_decoder(properties=missing),
        "schema_of_the_future": tiny_decoder(
            properties={**good, "digitvae.schema": "digitvae-bundle/2"}
        ),
        "other_latent_dim": tiny_decoder(properties={**good, "digitvae.latent_dim": "4"}),
        "latent_dim_no_number": tiny_decoder(properties={**good, "digitvae.latent_dim": "3x"}),
        "height_zero": tiny_decoder(properties={**good, "digitvae.height": "0"}),
        "height_beyond": tiny_decoder(properties={**good, "digitvae.height": "65537"}),
        "height_huge": tiny_decoder(properties={**good, "digitvae.height": "18446744073709551617"}),
        "truncated": whole[: len(whole) // 2],
        "unknown_operator": tiny_decoder(last="Sigmoidal"),
    }


def models() -> dict[str, bytes]:
    """Every model of the corpus by its file name without extension."""
    return {
        "decoder_tiny": tiny_decoder(),
        "decoder_other_dims": tiny_decoder(latents=TINY_LATENTS + 1),
        "decoder_out_of_range": tiny_decoder(last="Identity"),
        "decoder_rows_in_run": toy_models.decoder(toy_models.ROWS_IN_RUN),
        "decoder_row_in_tile": toy_models.decoder(toy_models.ROW_IN_TILE),
        "encoder_tiny": tiny_encoder(),
        "encoder_not_a_number": tiny_encoder(scale=float("nan")),
        "prior_tiny": prior(TINY_LATENTS),
        "prior_wrong_label": prior(40, label_offset=CLASSES),
        "prior_not_a_number": prior(40, scale=float("nan")),
        "bad_prior_int32_digit": prior(TINY_LATENTS, digit_element=TensorProto.INT32),
        "bad_prior_no_labels": prior(
            TINY_LATENTS, properties=metadata(TINY_LATENTS, TINY_HEIGHT, TINY_WIDTH)
        ),
        "decoder_exported": exported_decoder(),
        "mixture_exported": exported_mixture(),
        **{f"mixture_other_{name}": content for name, content in other_mixtures().items()},
        **{f"mixture_unfit_{name}": content for name, content in unfit_mixtures().items()},
        **{f"bad_decoder_{name}": content for name, content in bad_decoders().items()},
    }


def calls() -> dict[str, bytes]:
    """Seeds of ``fuzz_calls``: one for each function and length, of any bytes."""
    random = np.random.default_rng(4)
    return {
        f"function_{function}_{length}": bytes([function]) + random.bytes(length)
        for function in range(FUNCTIONS)
        for length in (40, 400)
    }


def main() -> None:
    """Write all of them."""
    CALLS.mkdir(parents=True, exist_ok=True)
    for name, content in calls().items():
        (CALLS / name).write_bytes(content)
    MODELS.mkdir(parents=True, exist_ok=True)
    for name, content in models().items():
        (MODELS / f"{name}.onnx").write_bytes(content)
    PRIOR.parent.mkdir(parents=True, exist_ok=True)
    PRIOR.write_bytes(prior(40))


if __name__ == "__main__":
    main()
