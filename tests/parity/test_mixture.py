"""A prior in the bundle: its structure, its draws on the decoder, and the same in every runtime."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from cpp.fuzz import make_corpus
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from digitvae.base.errors import BundleError
from digitvae.bundle.folder import Bundle, describe_files, write_manifest
from digitvae.bundle.names import PRIOR
from digitvae.parity import ParityReport
from digitvae.parity.bundle import verify_with
from digitvae.parity.checks import mixture
from digitvae.parity.checks.mixture import check_mixture_runtimes, mixture_draws
from digitvae.parity.checks.random_reference import mixture_uniform, standard_normal
from digitvae.parity.checks.structure import check_mixture
from digitvae.parity.gate import edits
from digitvae.parity.networks import Float32
from digitvae.parity.report.report import Check
from digitvae.parity.runtimes import RUNTIMES
from digitvae.parity.runtimes import onnx as onnx_runtimes
from digitvae.parity.runtimes.c_api import Handle
from digitvae.parity.settings import GATE

if TYPE_CHECKING:
    from digitvae._native import Role  # which the module itself has not

LATENTS = 40
TRUNCATED = make_corpus.PRIOR.read_bytes()[:-1000]
SAME_LABELS = "gives the same labels in every runtime"
SAME_BITS = "gives the specified latents through the C API, bit for bit"
SAME_VALUES = "gives the same latents natively, without optimization and in the ONNX reference"
RUNS = "runs in every runtime"


@dataclass(frozen=True)
class Folder:
    """A bundle that has a prior, whose file may be replaced."""

    path: Path

    def holding(self, content: bytes) -> Bundle:
        """The bundle with this prior, and a manifest that says so."""
        (self.path / PRIOR).write_bytes(content)
        manifest = edits.read_manifest(self.path)
        names = {*manifest["files"], PRIOR}
        write_manifest(self.path, manifest | {"files": describe_files(self.path, names)})
        return Bundle.open(self.path)


@pytest.fixture(scope="module")
def folder(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    copy = shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("prior") / "bundle")
    remove_prior(copy)  # it gets another one, without parameters to compare with
    return Folder(copy)


def remove_prior(folder: Path) -> None:
    manifest = edits.read_manifest(folder)
    for name in [name for name in manifest["files"] if name.startswith("prior.")]:
        (folder / name).unlink()
        del manifest["files"][name]
    write_manifest(folder, manifest)


@pytest.fixture
def honest(folder: Folder) -> Bundle:
    return folder.holding(make_corpus.PRIOR.read_bytes())


@pytest.fixture(scope="module")
def report(folder: Folder) -> ParityReport:
    """What a verification says of all of it."""
    return verify_with(folder.holding(make_corpus.PRIOR.read_bytes()).path, GATE)


def edited(edit: Callable[[Any], object]) -> bytes:
    """The prior, changed."""
    model = onnx.load_model_from_string(make_corpus.PRIOR.read_bytes())
    edit(model)
    content: bytes = model.SerializeToString()
    return content


def failed(checks: list[Check]) -> dict[str, str]:
    assert {check.subject for check in checks} == {PRIOR}
    return {check.statement: check.detail for check in checks if check.status != "passed"}


def test_an_honest_prior_passes_and_is_checked_for_all_that_it_promises(honest: Bundle) -> None:
    structure, runtimes = check_mixture(honest), check_mixture_runtimes(honest)
    assert not failed([*structure, *runtimes])
    assert [check.statement for check in structure] == [
        "is valid ONNX",
        "has no random operators",
        "inputs are as specified",
        "outputs are as specified",
        "uses only the standard operators, of opset 18 or later",
        "metadata are as specified",
    ]
    labels, bits, values = runtimes
    assert (labels.statement, labels.detail) == (SAME_LABELS, "0 of 3000 differ")
    assert (bits.statement, bits.detail) == (SAME_BITS, "0 of 40000 differ")
    assert values.statement == SAME_VALUES
    largest, limit = values.detail.removeprefix("largest difference ").split(", limit ")
    assert 0.0 <= float(largest) <= float(limit) < 1e-4


def test_its_draws_are_the_mixture_of_the_specified_numbers(honest: Bundle) -> None:
    count = 500
    mixture = make_corpus.mixture(LATENTS)
    u, eps = mixture_uniform(0, 0, count), standard_normal(0, 0, 0, count, LATENTS)
    component = (u[:, None] >= mixture["overall"]).sum(axis=1)
    expected = mixture["means"][component] + mixture["deviations"][component] * eps
    found = mixture_draws(honest, count)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_a_verification_compares_its_draws_on_every_decoder(report: ParityReport) -> None:
    assert report.passed, report.summary()
    mixture = [c for c in report.comparisons if c.inputs == "mixture draws"]
    assert {(c.network, c.runtime) for c in mixture} == {
        ("decoder", runtime.name) for runtime in RUNTIMES
    }
    assert {c.count for c in mixture} == {GATE.decoded}
    statements = {c.statement for c in report.checks if c.subject == PRIOR}
    assert {SAME_LABELS, SAME_BITS, SAME_VALUES, "metadata are as specified"} <= statements


def test_a_bundle_without_one_says_nothing_of_it(copy: Callable[[], Path]) -> None:
    path = copy()
    remove_prior(path)
    bundle = Bundle.open(path)
    report = verify_with(path, GATE)
    assert report.passed
    assert not [check for check in report.checks if "prior." in check.subject]
    with pytest.raises(BundleError, match=r"prior\.onnx is not in the bundle"):
        mixture_draws(bundle, 1)


def declare_output(name: str, kind: int, shape: list[str | int]) -> Callable[[Any], object]:
    def edit(model: Any) -> None:
        (value,) = (value for value in model.graph.output if value.name == name)
        value.CopyFrom(helper.make_tensor_value_info(name, kind, shape))

    return edit


def int32_label(model: Any) -> None:
    """Its label as int32, which the C API would return but the file may not."""
    model.graph.node[-1].output[0] = "wide"
    model.graph.node.append(helper.make_node("Cast", ["wide"], ["label"], to=TensorProto.INT32))
    declare_output("label", TensorProto.INT32, ["batch"])(model)


def float64_latents(model: Any) -> None:
    for node in model.graph.node:
        node.output[:] = ["narrow" if name == "z" else name for name in node.output]
    model.graph.node.append(helper.make_node("Cast", ["narrow"], ["z"], to=TensorProto.DOUBLE))
    declare_output("z", TensorProto.DOUBLE, ["batch", LATENTS])(model)


def add_noise(model: Any) -> None:
    """A random operator that does not even change the result."""
    for node in model.graph.node:
        node.output[:] = ["quiet" if name == "z" else name for name in node.output]
    zero = numpy_helper.from_array(np.array(0, np.float32), "nothing")
    model.graph.initializer.append(zero)
    model.graph.node.extend(
        [
            helper.make_node("RandomNormal", [], ["noise"], shape=[1, LATENTS]),
            helper.make_node("Mul", ["noise", "nothing"], ["silence"]),
            helper.make_node("Add", ["quiet", "silence"], ["z"]),
        ]
    )


def without_metadata(*keys: str) -> bytes:
    properties = make_corpus.prior_metadata(LATENTS)
    return make_corpus.prior(
        LATENTS, properties={key: value for key, value in properties.items() if key not in keys}
    )


def with_metadata(**changed: str) -> bytes:
    properties = make_corpus.prior_metadata(LATENTS)
    return make_corpus.prior(
        LATENTS,
        properties=properties | {f"digitvae.{key}": value for key, value in changed.items()},
    )


def narrow_latents(model: Any) -> None:
    """The last latent left out."""
    for node in model.graph.node:
        node.output[:] = ["whole" if name == "z" else name for name in node.output]
    for name, number in (("start", 0), ("end", LATENTS - 1), ("axis", 1)):
        tensor = numpy_helper.from_array(np.array([number], np.int64), name)
        model.graph.initializer.append(tensor)
    model.graph.node.append(helper.make_node("Slice", ["whole", "start", "end", "axis"], ["z"]))
    declare_output("z", TensorProto.FLOAT, ["batch", LATENTS - 1])(model)


METADATA = "metadata are as specified"


@pytest.mark.parametrize(
    ("content", "statement", "words"),
    [
        pytest.param(
            edited(int32_label),
            "outputs are as specified",
            "label is int32 [batch], expected int64 [batch]",
            id="label of int32",
        ),
        pytest.param(
            edited(float64_latents),
            "outputs are as specified",
            "z is float64 [batch, 40], expected float32 [batch, 40]",
            id="latents of float64",
        ),
        pytest.param(
            make_corpus.prior(LATENTS, digit_element=TensorProto.INT32),
            "inputs are as specified",
            "digit is int32 [batch], expected int64 [batch]",
            id="digit of int32",
        ),
        pytest.param(
            without_metadata("digitvae.labels"),
            METADATA,
            "digitvae.labels is missing, expected a number",
            id="no labels",
        ),
        pytest.param(
            without_metadata("digitvae.schema"),
            METADATA,
            "digitvae.schema is missing, expected digitvae-bundle/1",
            id="no schema",
        ),
        pytest.param(
            with_metadata(dataset="fashion"),
            METADATA,
            "digitvae.dataset is fashion, expected mnist",
            id="other data set",
        ),
        pytest.param(
            with_metadata(author="me"),
            METADATA,
            "digitvae.author is me, expected nothing",
            id="more metadata",
        ),
        pytest.param(
            with_metadata(latent_dim="39"),
            METADATA,
            "digitvae.latent_dim is 39, expected 40",
            id="says another width",
        ),
        pytest.param(
            make_corpus.prior(LATENTS - 1),
            "outputs are as specified",
            "z is float32 [batch, 39], expected float32 [batch, 40]",
            id="has another width",
        ),
        pytest.param(
            edited(add_noise), "is valid ONNX", "operator 'RandomNormal'", id="random operator"
        ),
        pytest.param(TRUNCATED, "is valid ONNX", "or cut short", id="truncated"),
    ],
)
def test_a_prior_of_another_structure_is_named(
    content: bytes, statement: str, words: str, folder: Folder
) -> None:
    found = failed(check_mixture(folder.holding(content)))
    assert statement in found
    assert words in found[statement]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(
            make_corpus.prior(LATENTS, label_offset=1),
            "the prior gave the label 10, expected 0 to 9",
            id="labels shifted",
        ),
        pytest.param(
            make_corpus.prior(LATENTS, scale=float("nan")),
            "the prior computed a latent that is not finite",
            id="not a number",
        ),
        pytest.param(
            without_metadata("digitvae.labels"),
            "the model has no metadata 'digitvae.labels'",
            id="no labels",
        ),
        pytest.param(make_corpus.prior(LATENTS - 1), "dimensions for input: eps", id="other width"),
        pytest.param(
            with_metadata(latent_dim="39"), "expected u float32 [batch], digit", id="says 39"
        ),
        pytest.param(edited(int32_label), "label int32 [batch]", id="label of int32"),
        pytest.param(TRUNCATED, "or cut short", id="truncated"),
        pytest.param(b"", "the model has 0 bytes", id="empty"),
    ],
)
def test_a_prior_that_does_not_run_everywhere_fails_and_says_why(
    content: bytes, words: str, folder: Folder
) -> None:
    found = failed(check_mixture_runtimes(folder.holding(content)))
    assert list(found) == [RUNS]
    assert words in found[RUNS]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(TRUNCATED, id="truncated"),
        pytest.param(make_corpus.prior(LATENTS, scale=float("nan")), id="not a number"),
        pytest.param(edited(float64_latents), id="latents of float64"),
    ],
)
def test_a_verification_blames_the_prior_and_no_decoder(content: bytes, folder: Folder) -> None:
    report = verify_with(folder.holding(content).path, GATE)
    assert "mixture draws" not in {c.inputs for c in report.comparisons}
    subjects = {check.subject for check in report.checks if check.status == "failed"}
    assert PRIOR in subjects
    assert subjects <= {PRIOR, "bundle"}
    assert len(report.failures) == sum(check.status == "failed" for check in report.checks)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (edited(float64_latents), r"prior\.onnx computes float64 \[7, 40\]"),
        (edited(narrow_latents), r"prior\.onnx computes float32 \[7, 39\]"),
        (make_corpus.prior(LATENTS, scale=float("nan")), r"latents that are no numbers"),
        (make_corpus.prior(LATENTS, scale=-1e25), r"or beyond ±1e\+20"),
    ],
)
def test_draws_that_no_decoder_can_take_are_not_compared(
    content: bytes, message: str, folder: Folder
) -> None:
    with pytest.raises(ValueError, match=message):
        mixture_draws(folder.holding(content), 7)


def with_latents(change: Callable[[Float32, NDArray[Any]], object]) -> Callable[..., Any]:
    """``Handle.latents``, whose results are changed afterwards."""
    latents = Handle.latents

    def faulty(*arguments: Any) -> Any:
        z, labels = latents(*arguments)
        change(z, labels)
        return z, labels

    return faulty


@pytest.mark.parametrize("exported", [False, True])
def test_one_bit_that_the_c_api_has_otherwise_is_found(
    exported: bool, honest: Bundle, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.open(tiny_bundle) if exported else honest
    assert not failed(check_mixture_runtimes(bundle))

    def flip(z: Float32, _: NDArray[Any]) -> None:
        z.view(np.uint32)[-1, 39] ^= 1

    monkeypatch.setattr(Handle, "latents", with_latents(flip))
    assert failed(check_mixture_runtimes(bundle)) == {SAME_BITS: "1 of 40000 differ"}


def test_one_label_that_the_c_api_has_otherwise_is_found(
    honest: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shift(_: Float32, labels: NDArray[Any]) -> None:
        labels[-1] = (labels[-1] + 1) % 10

    monkeypatch.setattr(Handle, "latents", with_latents(shift))
    assert failed(check_mixture_runtimes(honest)) == {SAME_LABELS: "1 of 3000 differ"}


def test_latents_far_from_those_of_the_graph_fail_even_if_they_are_the_specified_ones(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the native sums, and what specifies them, had the same fault."""
    latents = Handle.latents

    def faulty(*arguments: Any) -> Any:
        z, labels = latents(*arguments)
        return z + np.float32(1e-4), labels

    monkeypatch.setattr(Handle, "latents", faulty)
    monkeypatch.setattr(mixture, "bits_differ", lambda *_: 0)
    assert list(failed(check_mixture_runtimes(Bundle.open(tiny_bundle)))) == [SAME_VALUES]


@pytest.mark.parametrize(
    ("off", "passes"), [(0.0, True), (5e-6, True), (1e-4, False), (float("nan"), False)]
)
def test_the_reference_may_differ_by_rounding_only(
    off: float, passes: bool, honest: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Off(ReferenceEvaluator):
        def run(self, *arguments: Any, **options: Any) -> Any:
            results: Any = super().run(*arguments, **options)
            z, labels = results
            z[500, 7] += off
            return z, labels

    monkeypatch.setattr(mixture, "ReferenceEvaluator", Off)
    assert list(failed(check_mixture_runtimes(honest))) == ([] if passes else [SAME_VALUES])


@pytest.mark.parametrize(("off", "passes"), [(5e-6, True), (1e-4, False), (float("nan"), False)])
def test_so_may_the_graph_without_optimization(
    off: float, passes: bool, honest: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = onnx_runtimes.load_session

    class Off:
        def __init__(self, content: bytes, role: Role) -> None:
            self._session = load(content, role, level=onnx_runtimes.OFF)

        def run(self, *arguments: Any) -> Any:
            z, labels = self._session.run(*arguments)
            z[0, 0] -= off
            return z, labels

    def choose(content: bytes, role: Role, *, level: Any = onnx_runtimes.ALL) -> Any:
        return Off(content, role) if level == onnx_runtimes.OFF else load(content, role)

    monkeypatch.setattr(onnx_runtimes, "load_session", choose)
    assert list(failed(check_mixture_runtimes(honest))) == ([] if passes else [SAME_VALUES])
