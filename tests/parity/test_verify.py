"""An honest bundle passes, and the report says what was compared, always in the same words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.numpy import load_file, save_file

import digitvae as dv
from digitvae import _native
from digitvae.bundle import MANIFEST, describe_files, shipped_path, write_manifest
from digitvae.errors import BundleError
from digitvae.parity import ParityReport, verify
from digitvae.parity.inputs import BATCHES, batches, extreme_images, extreme_latents, whole
from digitvae.parity.runtimes import EAGER, NATIVE, RUNTIMES, at_most_one
from digitvae.parity.tables import tables
from digitvae.parity.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from digitvae.data import Split

DRAWS = 300


@pytest.fixture(scope="session")
def report(tiny_bundle: Path, nowhere: Path) -> ParityReport:
    return verify(tiny_bundle, draws=DRAWS, data_root=nowhere)


@pytest.mark.slow
def test_the_shipped_bundle_keeps_every_promise(mnist: dict[str, Split]) -> None:
    report = verify(shipped_path(), require_data=True)
    assert report.passed, report.summary()
    compared = {(c.network, c.inputs): c.count for c in report.comparisons}
    assert compared["decoder", "prior draws"] == 10_000
    assert compared["decoder", "means of test images"] == len(mnist["test"].images)
    assert compared["encoder", "test images"] == len(mnist["test"].images)
    assert compared["decoder", "batches of 1 to 1000"] == sum(BATCHES)
    prior = [c for c in report.comparisons if c.inputs.endswith("prior draws")]
    assert {(c.output, c.runtime) for c in prior} == {
        (output, runtime) for output in ("x", "mu", "logvar") for runtime in RUNTIMES
    }
    for comparison in prior:
        if comparison.runtime != EAGER:
            assert comparison.to_eager is not None
            assert comparison.to_eager_scaled is not None
            assert comparison.to_eager_scaled.value <= 2e-6, comparison
    pixels = sum(c.pixels_differ or 0 for c in prior if c.runtime == NATIVE)
    assert pixels <= 1e-5 * 10_000 * 784  # byte agreement of at least 99.999 %


@pytest.mark.slow
def test_the_report_that_a_bundle_carries_is_what_verify_finds_again(
    tiny_bundle: Path, mnist: dict[str, Split]
) -> None:
    carried = json.loads((tiny_bundle / "parity.json").read_text(encoding="utf-8"))
    assert verify(tiny_bundle).to_dict() == carried


def test_two_runs_report_the_same(tiny_bundle: Path, nowhere: Path, report: ParityReport) -> None:
    again = verify(tiny_bundle, draws=DRAWS, data_root=nowhere)
    assert again.to_dict() == report.to_dict()


def test_the_report_is_json_and_names_no_place(tiny_bundle: Path, report: ParityReport) -> None:
    text = json.dumps(report.to_dict(), allow_nan=False)
    assert json.loads(text)["passed"] is True
    assert str(tiny_bundle) not in text


def test_every_runtime_is_compared_on_every_set_of_inputs(report: ParityReport) -> None:
    found = {(c.network, c.output, c.inputs, c.runtime) for c in report.comparisons}
    expected = {
        (network, output, inputs, runtime)
        for network, outputs, sets in (
            ("decoder", ("x",), ("prior draws", "batches of 1 to 257", "extreme latents")),
            (
                "encoder",
                ("mu", "logvar"),
                ("decoded prior draws", "batches of 1 to 257", "extreme images"),
            ),
        )
        for output in outputs
        for inputs in sets
        for runtime in RUNTIMES
    }
    assert found == expected
    assert all(c.status == "passed" for c in report.comparisons)


def test_every_number_of_a_report_is_within_the_limit_beside_it(report: ParityReport) -> None:
    for comparison in report.comparisons:
        assert comparison.bound_used is not None
        assert comparison.to_truth is not None
        assert comparison.bound_there is not None
        assert 0.0 < comparison.bound_used.value <= 1.0
        assert comparison.to_truth.value <= comparison.bound_there
        if comparison.eager_limit_used is not None:
            assert comparison.eager_limit_used.value <= 1.0
        if comparison.same_bits_as is not None:
            assert comparison.bits_differ == 0


def test_the_largest_deviation_is_at_the_input_that_the_report_names(
    tiny_bundle: Path, report: ParityReport
) -> None:
    model = dv.load(tiny_bundle)
    truth = Truth(load_file(tiny_bundle / "weights.safetensors"))
    z = model.latents(DRAWS, seed=0)
    deviations = np.abs(
        model.decode(z, dtype="float32").reshape(DRAWS, -1) - truth.decode(z)[0].value
    )
    native = next(
        c for c in report.comparisons if c.runtime == NATIVE and c.inputs == "prior draws"
    )
    assert native.to_truth is not None
    row, element = divmod(int(deviations.argmax()), 784)
    assert (native.to_truth.input, native.to_truth.element) == (f"row {row}", element)
    assert native.to_truth.value == pytest.approx(deviations.max(), rel=1e-6)


def test_the_native_engine_has_the_bits_of_padded_tiles_in_python(tiny_bundle: Path) -> None:
    # The comparison that verify makes, made once more without its code.
    model = dv.load(tiny_bundle)
    z = model.latents(300, seed=3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(tiny_bundle / "decoder.onnx", options)
    expected = []
    for start in (0, 128, 256):
        tile = np.zeros((128, 40), np.float32)
        tile[: min(128, 300 - start)] = z[start : start + 128]
        expected.append(session.run(["x"], {"z": tile})[0])
    assert _native.TILE_ROWS == 128
    found = model.decode(z, dtype="float32").reshape(300, 784)
    assert found.tobytes() == np.concatenate(expected)[:300].tobytes()


def test_what_rounds_to_just_above_one_is_taken_for_one() -> None:
    values = np.array([[1 - 2**-24, 1, 1 + 2**-23, 1 + 2**-22, np.nan, -0.0]], np.float32)
    (found,) = at_most_one(lambda rows: (rows,))(values)
    expected = values.copy()
    expected[0, 2] = 1
    assert found.tobytes() == expected.tobytes()


def test_a_missing_data_set_is_reported_as_not_run(report: ParityReport) -> None:
    (check,) = [check for check in report.checks if check.subject == "data set mnist"]
    assert check.status == "not run"
    assert "t10k-images" in check.detail
    assert report.passed
    assert "1 not run" in report.summary()


def test_a_missing_data_set_is_a_failure_when_it_is_required(
    tiny_bundle: Path, nowhere: Path
) -> None:
    report = verify(tiny_bundle, draws=1, data_root=nowhere, require_data=True)
    assert [str(failure).split(":")[0] for failure in report.failures] == ["data set mnist"]


def test_one_draw_is_enough(tiny_bundle: Path, nowhere: Path) -> None:
    report = verify(tiny_bundle, draws=1, data_root=nowhere)
    assert report.passed, report.summary()
    assert {c.inputs for c in report.comparisons} >= {"prior draws", "batches of 1 to 1"}


def test_several_threads_pass_and_leave_the_setting_of_pytorch_alone(
    tiny_bundle: Path, nowhere: Path
) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    report = verify(
        tiny_bundle,
        draws=70,
        data_root=nowhere,
        threads=before + 1,
        on_progress=lambda _done, _total, _what: seen.append(torch.get_num_threads()),
    )
    assert report.passed, report.summary()
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


def test_progress_counts_up_to_its_total(tiny_bundle: Path, nowhere: Path) -> None:
    steps: list[tuple[int, int, str]] = []
    verify(tiny_bundle, draws=10, data_root=nowhere, on_progress=lambda *step: steps.append(step))
    assert [done for done, _, _ in steps] == list(range(len(steps)))
    assert steps[-1][1] == len(steps)
    assert all(what for _, _, what in steps)


@pytest.mark.parametrize("arguments", [{"draws": 0}, {"draws": -5}, {"threads": 0}])
def test_counts_below_one_are_refused(tiny_bundle: Path, arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        verify(tiny_bundle, **arguments)  # type: ignore[arg-type]


def test_a_bundle_without_its_report_can_be_verified(
    tiny_bundle: Path, nowhere: Path, copy: Callable[[], Path]
) -> None:
    # Exporting verifies the finished folder to make the report.
    folder = copy()
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / "parity.json").unlink()
    names = [name for name in manifest["files"] if name != "parity.json"]
    write_manifest(folder, manifest | {"files": describe_files(folder, names)})
    assert verify(folder, draws=10, data_root=nowhere).passed


def test_weights_of_another_model_are_refused(copy: Callable[[], Path], nowhere: Path) -> None:
    folder = copy()
    save_file(
        {"encoder.hidden.weight": np.zeros((3, 3), np.float32)}, folder / "weights.safetensors"
    )
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    files = describe_files(folder, manifest["files"])
    write_manifest(folder, manifest | {"files": files})
    with pytest.raises(BundleError, match=r"weights\.safetensors does not hold the parameters"):
        verify(folder, draws=1, data_root=nowhere)


def test_tables_hold_every_comparison_and_every_check(report: ParityReport) -> None:
    text = "\n\n".join(map(str, tables(report)))
    for runtime in RUNTIMES:
        assert runtime in text
    for check in report.checks:
        assert check.statement in text
    assert "FAILED" not in text
    assert " !" not in text


def test_extreme_inputs_hold_what_the_documentation_lists() -> None:
    draws = np.random.default_rng(0).normal(size=(60, 40)).astype(np.float32)
    latents = extreme_latents(draws)
    rows = latents.blocks[0]
    for value in (0, 10, -10, 100, -100, 1e4, -1e4):
        assert (rows == np.float32(value)).all(axis=1).any(), value
    subnormal = (rows > 0).all(axis=1) & (rows < np.finfo(np.float32).tiny).all(axis=1)
    assert subnormal.sum() == 2
    assert (np.count_nonzero(rows, axis=1) == 1).sum() == 4 * 40
    assert len(latents.names) == len(rows)

    images = extreme_images(784).blocks[0]
    assert (images == 1).all(axis=1).any()
    assert (images == 0).all(axis=1).any()
    assert (np.count_nonzero(images, axis=1) == 1).sum() == 784
    assert images.min() >= 0
    assert images.max() <= 1


def test_inputs_name_their_rows_as_one_would_look_them_up() -> None:
    rows = np.zeros((2500, 40), np.float32)
    assert whole("draws", rows).where(2, 7) == "row 2007"
    assert batches(rows).where(3, 2) == "row 2 of batch 7"
    assert extreme_latents(rows).where(0, 2) == "row 2 (all -10)"
