"""``digitvae generate``: the same digits in every kind of output, in any number of parts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import digitvae as dv
from digitvae import __version__ as dv_version
from digitvae.bundle.folder import shipped_path
from digitvae.output import FORMATS
from tests.support.readers import READERS, cut_sheet, parse_idx, read_picture
from tests.support.running import Runner, assert_explained


@pytest.mark.parametrize("name", READERS)
def test_every_kind_of_output_has_the_digits_that_the_library_makes(
    run: Runner, model: dv.Model, name: str
) -> None:
    result = run("generate", "300", "--seed", "7", "-o", name)
    assert result.code == 0
    assert result.err == ""
    assert result.out.startswith(f"{name}: 300 digits in ")
    np.testing.assert_array_equal(READERS[name](Path(name), 300), model.sample(300, seed=7))


@pytest.mark.parametrize("name", ["out.npy", "out.npz", "out.raw"])
def test_float32_digits_are_the_library_s_to_the_bit(
    run: Runner, model: dv.Model, name: str
) -> None:
    assert run("generate", "70", "--dtype", "float32", "-o", name).code == 0
    if name == "out.raw":
        found = np.fromfile(name, np.float32).reshape(70, 28, 28)
    else:
        found = np.load(name) if name == "out.npy" else np.load(name)["images"]
    np.testing.assert_array_equal(found, model.sample(70, dtype="float32"))


def test_ranges_made_apart_are_the_whole(run: Runner, tmp_path: Path) -> None:
    assert run("generate", "20000", "-o", "whole.npy", "--seed", 3).code == 0  # two chunks
    whole = np.load("whole.npy")
    parts = []
    for first, count in ((0, 16_385), (16_385, 1), (16_386, 3_614)):
        words = ("--first", first, "--seed", 3, "--threads", 1, "-o", f"{first}.npy")
        assert run("generate", count, *words).code == 0
        parts.append(np.load(f"{first}.npy"))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_folders_of_neighbouring_ranges_can_be_merged(run: Runner) -> None:
    run("generate", 5, "-o", "whole")
    run("generate", 2, "-o", "a/")
    run("generate", 3, "--first", 2, "-o", "b/")
    merged = {f.name: f.read_bytes() for part in "ab" for f in Path(part).glob("*.png")}
    assert merged == {f.name: f.read_bytes() for f in Path("whole").glob("*.png")}
    assert sorted(merged) == [f"{i:06d}.png" for i in range(5)]


def test_without_a_name_the_digits_go_to_digits_npy(run: Runner) -> None:
    assert run("generate", "1_000").code == 0
    assert np.load("digits.npy").shape == (1000, 28, 28)


def test_the_last_index_can_be_made(run: Runner, model: dv.Model) -> None:
    last = 2**64 - 1
    assert run("generate", 1, "--first", last, "--seed", last, "-o", "a.npy").code == 0
    np.testing.assert_array_equal(np.load("a.npy"), model.sample(1, seed=last, first=last))
    result = run("generate", 2, "--first", last, "-o", "b.npy")
    assert_explained(result, 2, "18,446,744,073,709,551,616")


def test_a_sheet_takes_columns_and_scale(run: Runner, model: dv.Model) -> None:
    assert run("generate", 7, "-o", "a.png", "--columns", 5, "--scale", 3).code == 0
    sheet = read_picture(Path("a.png"))
    np.testing.assert_array_equal(cut_sheet(sheet, 7, 5, 3), model.sample(7))


def test_a_sheet_takes_padding_and_can_be_black_on_white(run: Runner, model: dv.Model) -> None:
    words = ("--columns", 4, "--scale", 1, "--padding", 5, "--invert")
    assert run("generate", 7, "-o", "a.png", *words).code == 0
    sheet = 255 - read_picture(Path("a.png"))
    np.testing.assert_array_equal(cut_sheet(sheet, 7, 4, 1, padding=5), model.sample(7))
    assert run("generate", 1, "-o", "b.png", "--padding", 0, "--scale", 1).code == 0
    np.testing.assert_array_equal(read_picture(Path("b.png")), model.sample(1)[0])


def test_the_manifest_of_a_folder_tells_where_its_images_come_from(
    run: Runner, model: dv.Model
) -> None:
    assert run("generate", 5, "-o", "a", "--seed", 2**64 - 1, "--first", 3).code == 0
    told = json.loads(Path("a/manifest.json").read_text())
    content = b"".join(Path(f"a/{i:06d}.png").read_bytes() for i in range(3, 8))
    assert told == {
        "schema": "digitvae-output/1",
        "count": 5,
        "first": 3,
        "dtype": "uint8",
        "format": "folder",
        "shard_size": None,
        "height": 28,
        "width": 28,
        "labels": None,
        "seed": 2**64 - 1,
        "prior": "standard",
        "bundle_sha256": model.bundle.sha256,
        "dataset": "mnist",
        "digitvae": dv_version,
        "onnxruntime": model.runtime_version,
        "digits": None,
        "truncation": 1.0,
        "complete": True,
        "files": [
            {
                "name": "*.png",
                "first": 3,
                "count": 5,
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        ],
    }


def test_what_is_generated_as_mnist_is_read_by_torchvision(run: Runner, model: dv.Model) -> None:
    from torchvision.datasets import MNIST

    assert run("generate", 12, "-o", "data", "--format", "mnist").code == 0
    found = MNIST("data", train=True)
    np.testing.assert_array_equal(found.data.numpy(), model.sample(12))
    assert found.targets.tolist() == [255] * 12
    assert run("generate", 3, "-o", "data", "--format", "mnist").code == 1
    assert run("generate", 3, "-o", "data", "--format", "mnist", "--force").code == 0
    assert len(MNIST("data")) == 3


@pytest.mark.parametrize(
    ("count", "words", "test"), [(1, (), 1), (13, (), 1), (15, (), 2), (9_000, ("--test", 1), 1)]
)
def test_the_test_set_of_mnist_is_of_the_images_that_follow(
    run: Runner, model: dv.Model, count: int, words: tuple[object, ...], test: int
) -> None:
    from torchvision.datasets import MNIST

    asked = ("generate", count, "--first", 5, "-o", "data", "--format", "mnist", "--json")
    assert json.loads(run(*asked, *words).out)["test"] == test
    images = model.sample(count + test, first=5)
    for is_train, expected in ((True, images[:count]), (False, images[count:])):
        found = MNIST("data", train=is_train)
        np.testing.assert_array_equal(found.data.numpy(), expected)
        assert found.targets.tolist() == [255] * len(expected)
    told = json.loads(Path("data/manifest.json").read_bytes())
    assert (told["count"], told["test"]) == (count, test)
    for record in told["files"]:
        split = (5, count) if "train" in record["name"] else (5 + count, test)
        assert (record["first"], record["count"]) == split
        content = Path("data", record["name"]).read_bytes()
        assert record["bytes"] == len(content)
        assert record["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_test_set_is_for_mnist_and_must_have_indices(run: Runner) -> None:
    result = run("generate", 5, "--test", 2, "-o", "a.npy")
    assert_explained(result, 2, "test (--test) is for the format mnist")
    assert_explained(run("generate", 5, "--test", 0, "-o", "a", "--format", "mnist"), 2, "--test")
    mnist = ("-o", "a", "--format", "mnist")
    last = run("generate", 5, "--first", 2**64 - 5, "--test", 1, *mnist)
    assert_explained(last, 2, f"the last index {2**64:,}")
    assert not list(Path().iterdir())


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_data_sets_can_be_piped(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], model: dv.Model, kind: str
) -> None:
    from digitvae.cli.app import main

    assert main(["generate", "9", "-o", "-", "--format", kind]) == 0
    (tmp_path / "piped").write_bytes(capsysbinary.readouterr().out)
    read = READERS[f"out.{kind}"]
    np.testing.assert_array_equal(read(tmp_path / "piped", 9), model.sample(9))


def test_parquet_without_pyarrow_says_what_to_install(
    run: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def find_spec(name: str) -> None:
        assert name == "pyarrow"

    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    result = run("generate", 5, "-o", "a.parquet")
    assert_explained(result, 1, "pip install 'digitvae[parquet]'")
    assert not list(tmp_path.iterdir())


def test_json_tells_what_was_done(run: Runner, model: dv.Model) -> None:
    result = run("generate", 10, "-o", "a.npy", "--seed", 4, "--first", 2, "--json")
    told = json.loads(result.out)
    assert told.pop("seconds") > 0
    assert told.pop("per_second") > 0
    assert told == {
        "command": "generate",
        "path": "a.npy",
        "format": "npy",
        "dtype": "uint8",
        "count": 10,
        "seed": 4,
        "first": 2,
        "prior": "standard",
        "digits": None,
        "truncation": 1.0,
        "labels": False,
        "bundle": str(shipped_path().resolve()),
        "bundle_sha256": model.bundle.sha256,
    }
    assert result.err == ""


def test_quiet_prints_nothing(run: Runner) -> None:
    assert run("generate", 3, "-q") == (0, "", "")


def test_standard_output_gets_bare_numbers_and_nothing_else(
    capsysbinary: pytest.CaptureFixture[bytes], model: dv.Model
) -> None:
    from digitvae.cli.app import main

    assert main(["generate", "100", "-o", "-", "--seed", "1"]) == 0
    assert capsysbinary.readouterr() == (model.sample(100, seed=1).tobytes(), b"")
    assert main(["generate", "100", "-o", "-", "--seed", "1", "--format", "idx"]) == 0
    out, err = capsysbinary.readouterr()
    np.testing.assert_array_equal(parse_idx(out), model.sample(100, seed=1))
    assert err == b""


def test_standard_output_is_not_written_to_a_terminal_nor_mixed_with_json(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_explained(run("generate", 3, "-o", "-", "--json"), 2, "--json")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert_explained(run("generate", 3, "-o", "-"), 1, "terminal")


def test_another_bundle_can_be_named(run: Runner, tiny_bundle: Path) -> None:
    import digitvae as dv

    assert run("generate", 9, "--bundle", tiny_bundle, "-o", "a.npy").code == 0
    np.testing.assert_array_equal(np.load("a.npy"), dv.load(tiny_bundle).sample(9))


def test_what_exists_survives_and_force_replaces_it(run: Runner, model: dv.Model) -> None:
    Path("a.npy").write_text("precious")
    assert_explained(run("generate", 3, "-o", "a.npy"), 1, "'a.npy' exists")
    assert Path("a.npy").read_text() == "precious"
    assert run("generate", 3, "-o", "a.npy", "--force").code == 0
    np.testing.assert_array_equal(np.load("a.npy"), model.sample(3))


@pytest.mark.parametrize(
    "count", ["0", "-5", "1e30", "nan", "inf", "abc", "1.5", "", " 5", "٣", "9" * 5000, 2**40 + 1]
)
def test_absurd_counts_are_wrong_usage(run: Runner, tmp_path: Path, count: object) -> None:
    assert_explained(run("generate", count), 2, "COUNT")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "COUNT"),
        (["5", "6"], "unexpected extra argument"),
        (
            ["5", "-o", "a.jpg"],
            f"known: {', '.join(kind.extension for kind in FORMATS.values() if kind.extension)}",
        ),
        (["5", "-o", ""], "empty"),
        (["5", "-o"], "-o"),
        (["5", "-o", "-", "--format", "folder"], "standard output"),
        (["5", "--format", "jpg"], "jpg"),
        (["5", "--seed", "-1"], "--seed"),
        (["5", "--seed", str(2**64)], "--seed"),
        (["5", "--first", "x"], "--first"),
        (["5", "--threads", "0"], "--threads"),
        (["5", "--dtype", "int8"], "int8"),
        (["5", "--dtype", "float32", "-o", "a.png"], "uint8 only"),
        (["5", "--columns", "3"], "contact sheet"),
        (["5", "--invert"], "contact sheet"),
        (["5", "--padding", "-1", "-o", "a.png"], "--padding"),
        (["5", "-o", "-", "--format", "mnist"], "standard output"),
        (["5", "--scale", "0", "-o", "a.png"], "--scale"),
        (["1_000_000", "-o", "a.png"], "a folder or array"),
        (["5", "--sed", "3"], "--sed"),
        (["5", "--frobnicate"], "--frobnicate"),
        (["5", "-o", "a\0b.npy"], "expected a path without NUL"),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(
    run: Runner, tmp_path: Path, words: list[str], message: str
) -> None:
    assert_explained(run("generate", *words), 2, message)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "missing/a.npy"], "'missing/a.npy': its folder"),
        (["-o", "/proc/a.npy"], "'/proc/a.npy'"),
        (["-o", ".", "--force"], "holds 'precious'"),
        (["-o", "precious/a.npy"], "is not a folder"),
        (["--bundle", "missing"], "missing: the folder does not exist"),
        (["--bundle", "precious"], "is a file"),
        (["--bundle", "."], "has no manifest.json"),
    ],
)
def test_what_cannot_be_done_ends_with_1_and_writes_nothing(
    run: Runner, tmp_path: Path, words: list[str], message: str
) -> None:
    Path("precious").write_text("precious")
    assert_explained(run("generate", 5, *words), 1, message)
    assert [file.name for file in tmp_path.iterdir()] == ["precious"]
    assert Path("precious").read_text() == "precious"


def truncate(bundle: Path) -> None:
    with (bundle / "decoder.onnx").open("r+b") as file:
        file.truncate(1000)


def tamper(bundle: Path) -> None:
    content = bytearray((bundle / "decoder.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / "decoder.onnx").write_bytes(content)


def remove(bundle: Path) -> None:
    (bundle / "decoder.onnx").unlink()


def make_foreign(bundle: Path) -> None:
    (bundle / "manifest.json").write_text('{"schema": "somebody-else/7"}')


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "decoder.onnx is truncated"),
        (tamper, "decoder.onnx was changed"),
        (remove, "decoder.onnx is missing"),
        (make_foreign, "somebody-else/7"),
    ],
)
def test_a_damaged_bundle_is_not_used(run: Runner, damage: object, message: str) -> None:
    assert callable(damage)
    damage(Path(shutil.copytree(shipped_path(), "bundle")))
    assert_explained(run("generate", 5, "--bundle", "bundle"), 1, message)
    assert os.listdir() == ["bundle"]  # noqa: PTH208


def test_a_missing_onnx_runtime_is_told(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITVAE_ORT_LIBRARY", "/nonexistent/libonnxruntime.so")
    assert_explained(run("generate", 5), 1, "/nonexistent/libonnxruntime.so")
    assert not Path("digits.npy").exists()
