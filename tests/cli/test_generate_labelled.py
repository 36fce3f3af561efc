"""``digitvae generate`` with a mixture: digits asked for, their labels, and less noise."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

import digitvae as dv
from digitvae.cli.numbers import parse_digits
from tests.support.readers import READERS, parse_png, read_member, read_mnist
from tests.support.running import Runner, assert_explained
from tests.support.trees import tree

Found = tuple[np.ndarray[Any, Any], list[int]]


def read_npz(path: Path) -> Found:
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["images", "labels"]
        assert arrays["labels"].dtype == np.int32
        return arrays["images"], arrays["labels"].tolist()


def read_parquet(path: Path) -> Found:
    rows = parquet.read_table(path).to_pylist()
    images = np.stack([parse_png(row["image"]["bytes"]) for row in rows])
    return images, [row["label"] for row in rows]


def read_tar(path: Path) -> Found:
    with tarfile.open(path, "r:") as archive:
        members = archive.getmembers()
        assert [Path(m.name).suffix for m in members] == [".png", ".cls"] * (len(members) // 2)
        contents = [read_member(archive, member) for member in members]
    return np.stack([parse_png(c) for c in contents[::2]]), [int(c) for c in contents[1::2]]


def read_torchvision(path: Path) -> Found:
    from torchvision.datasets import MNIST

    found = MNIST(str(path))
    return found.data.numpy(), found.targets.tolist()


LABELLED = {
    "out.npz": read_npz,
    "out.parquet": read_parquet,
    "out.tar": read_tar,
    "mnist": read_torchvision,
}


@pytest.mark.parametrize("name", LABELLED)
def test_every_format_for_labels_has_them(
    run: Runner, labelled: dv.Model, labelled_bundle: Path, name: str
) -> None:
    kind = ("--format", "mnist") if name == "mnist" else ()
    words = ("--digit", "3,0-2,3", "--truncation", 0.8, "--seed", 7, "--first", 4)
    result = run("generate", 300, "--bundle", labelled_bundle, *words, "-o", name, *kind)
    assert result.code == 0, result.err
    assert result.out.startswith(f"{name}: 300 digits in ")
    images, labels = LABELLED[name](Path(name))
    expected, classes = labelled.sample(
        300, seed=7, first=4, digit=[3, 0, 1, 2, 3], truncation=0.8, return_labels=True
    )
    np.testing.assert_array_equal(images, expected)
    assert labels == classes.tolist()


@pytest.mark.parametrize("name", [name for name in READERS if name not in LABELLED])
def test_the_other_formats_have_the_images(
    run: Runner, labelled: dv.Model, labelled_bundle: Path, name: str
) -> None:
    words = ("--digit", "9", "--bundle", labelled_bundle, "-o", name)
    assert run("generate", 40, *words).code == 0
    np.testing.assert_array_equal(READERS[name](Path(name), 40), labelled.sample(40, digit=9))


def test_more_than_one_chunk_keeps_images_and_labels_together(
    run: Runner, labelled: dv.Model, labelled_bundle: Path
) -> None:
    for dtype in ("uint8", "float32"):
        words = ("--prior", "mixture", "--dtype", dtype, "--force", "-o", "a.npz")
        assert run("generate", 20_000, "--bundle", labelled_bundle, *words).code == 0
        images, labels = read_npz(Path("a.npz"))
        expected, classes = labelled.sample(
            20_000, prior="mixture", dtype=dtype, return_labels=True
        )
        np.testing.assert_array_equal(images, expected)
        assert labels == classes.tolist()


def test_so_many_of_each_digit(run: Runner, labelled_bundle: Path) -> None:
    words = ("--digit", "0-9", "--per-digit", 12, "--first", 7, "-o", "a.npz", "--json")
    result = run("generate", "--bundle", labelled_bundle, *words)
    told = json.loads(result.out)
    assert (told["count"], told["prior"], told["digits"]) == (120, "mixture", list(range(10)))
    assert (told["truncation"], told["labels"]) == (1.0, True)
    _, labels = read_npz(Path("a.npz"))
    assert [labels.count(digit) for digit in range(10)] == [12] * 10


def test_less_noise_needs_no_mixture(run: Runner, model: dv.Model) -> None:
    result = run("generate", 30, "--truncation", 0.5, "-o", "a.npy", "--json")
    assert json.loads(result.out)["truncation"] == 0.5
    np.testing.assert_array_equal(np.load("a.npy"), model.sample(30, truncation=0.5))


def test_the_standard_prior_can_be_asked_for_by_name(
    run: Runner, labelled_bundle: Path, model: dv.Model
) -> None:
    words = ("--prior", "standard", "--bundle", labelled_bundle, "-o", "a.npz")
    assert run("generate", 30, *words).code == 0
    with np.load("a.npz") as arrays:
        assert arrays.files == ["images"]
        np.testing.assert_array_equal(arrays["images"], model.sample(30))


def test_labels_of_a_folder_for_torchvision_are_in_its_manifest(
    run: Runner, labelled_bundle: Path
) -> None:
    words = ("--digit", "1,7", "--truncation", 0.5, "--format", "mnist", "-o", "data")
    assert run("generate", 6, "--bundle", labelled_bundle, *words).code == 0
    told = json.loads(Path("data/manifest.json").read_text())
    assert told["labels"] is True
    assert (told["prior"], told["digits"], told["truncation"]) == ("mixture", [1, 7], 0.5)
    assert "unlabelled" not in told
    assert told["test"] == 1
    raw = Path("data/MNIST/raw")
    assert (raw / "train-labels-idx1-ubyte").read_bytes()[8:] == bytes([1, 7, 1, 7, 1, 7])
    assert (raw / "t10k-labels-idx1-ubyte").read_bytes()[8:] == bytes([1])  # the seventh
    assert read_mnist(Path("data"), 6).shape == (6, 28, 28)


@pytest.mark.parametrize("kind", ["npz", "tar", "parquet"])
def test_shards_are_the_outputs_of_their_ranges_and_can_be_resumed(
    run: Runner, labelled_bundle: Path, kind: str
) -> None:
    source = ("--bundle", labelled_bundle, "--digit", "4,2,9", "--truncation", 0.9)
    whole = (*source, "--shard-size", 7, "-o", f"out.{kind}")
    assert run("generate", "--per-digit", 6, *whole).code == 0
    for index, first, count in ((0, 0, 7), (1, 7, 7), (2, 14, 4)):
        part = ("--first", first, "-o", f"part.{kind}", "--force")
        assert run("generate", count, *source, *part).code == 0
        shard = Path(f"out/digits-0000{index}-of-00003.{kind}")
        assert shard.read_bytes() == Path(f"part.{kind}").read_bytes()
    before = tree(Path("out"))
    Path(f"out/digits-00001-of-00003.{kind}").unlink()
    assert run("generate", 18, *whole, "--resume").code == 0
    assert tree(Path("out")) == before


@pytest.mark.parametrize(
    ("words", "difference"),
    [
        (("--digit", "1,3"), "digits [1, 2], not [1, 3]"),
        (("--digit", "1"), "digits [1, 2], not [1]"),
        (("--prior", "mixture"), "digits [1, 2], not None"),
        ((), "prior 'mixture', not 'standard'"),
        (("--digit", "1,2", "--truncation", "0.5"), "truncation 1.0, not 0.5"),
    ],
)
def test_resuming_refuses_other_digits(
    run: Runner, labelled_bundle: Path, words: tuple[str, ...], difference: str
) -> None:
    common = ("--bundle", labelled_bundle, "--shard-size", 5, "-o", "out.npy")
    assert run("generate", 10, *common, "--digit", "1,2").code == 0
    before = tree(Path("out"))
    result = run("generate", 10, *common, *words, "--resume")
    assert_explained(result, 2, f"it was begun with {difference}")
    assert tree(Path("out")) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "how many? Give COUNT, or --digit with --per-digit"),
        (["--digit", "7"], "how many? Give COUNT"),
        (["10", "--digit", "7", "--per-digit", "2"], "COUNT and --per-digit both say how many"),
        (["--per-digit", "2"], "--per-digit needs --digit"),
        (["--digit", "0-9", "--per-digit", str(1 << 40)], "are more than 1,099,511,627,776"),
        (["--digit", "0", "--per-digit", "0"], "0 is not in the range 1 to"),
        (["3", "--digit", "7", "--prior", "standard"], "--digit needs --prior mixture"),
        (["3", "--prior", "normal"], "'normal' is not one of"),
        (["3", "--digit", "seven"], "'seven' is not a whole number"),
        (["3", "--digit", ""], "'' is not a list of digits (such as 7, 0-9 or 1,3,5-7)"),
        (["3", "--digit", "1,,2"], "'1,,2' is not a list of digits"),
        (["3", "--digit", "-1"], "'-1' is not a list of digits"),
        (["3", "--digit", "3-"], "'3-' is not a list of digits"),
        (["3", "--digit", "9-0"], "9-0 runs backwards; write 0-9"),
        (["3", "--digit", "8-10"], "digit is 10, expected 0 to 9"),
        (["3", "--digit", "70000"], "70000 is not in the range 0 to 65,535"),
        (["3", "--truncation", "1.5"], "truncation is 1.5, expected 0 to 1"),
        (["3", "--truncation", "nan"], "truncation is nan"),
        (["3", "--truncation", "much"], "'much' is not a valid float"),
    ],
)
def test_wrong_usage_is_explained_before_anything_is_made(
    run: Runner, labelled_bundle: Path, words: list[str], message: str
) -> None:
    assert_explained(run("generate", "--bundle", labelled_bundle, *words), 2, message)
    assert not list(Path().iterdir())


def test_a_bundle_without_a_mixture_says_so(run: Runner, unlabelled_bundle: Path) -> None:
    for words in (("--digit", "7"), ("--prior", "mixture")):
        result = run("generate", 3, "--bundle", unlabelled_bundle, *words)
        assert_explained(result, 1, "has no prior.onnx")
    assert not list(Path().iterdir())


def test_labelled_digits_need_no_numpy(labelled_bundle: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from digitvae.cli.app import main; code = main(sys.argv[1:]);"
        "assert not {'numpy', 'torch', 'onnxruntime'} & set(sys.modules); sys.exit(code)"
    )
    words = ["generate", "--digit", "0-9", "--per-digit", "3", "--bundle", str(labelled_bundle)]
    command = [sys.executable, "-c", code, *words, "-o", "a.npz"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert read_npz(tmp_path / "a.npz")[1] == list(range(10)) * 3


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("7", [7]),
        ("0-9", list(range(10))),
        ("1,3,5-7", [1, 3, 5, 6, 7]),
        ("9,0,9", [9, 0, 9]),
        ("4-4,2", [4, 2]),
    ],
)
def test_lists_of_digits_keep_order_and_repeats(text: str, digits: list[int]) -> None:
    assert parse_digits(text) == digits
