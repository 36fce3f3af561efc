"""``digitvae data``: has the data set, and says where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from digitvae.data import sets as data
from digitvae.data.sources import Source, Unavailable
from tests.support.running import Runner, assert_explained


@pytest.fixture
def no_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str, _scratch: Path) -> None:
        raise Unavailable("unplugged")

    everything = frozenset(data.DATASETS)
    monkeypatch.setattr(
        "digitvae.data.sources.SOURCES", (Source("the network", everything, refuse),)
    )


@pytest.mark.usefixtures("mnist", "no_sources")
def test_it_says_where_the_data_set_is_and_that_it_is_right(run: Runner) -> None:
    for words in (["data"], ["data", "mnist"], ["data", "--dataset", "mnist"]):
        result = run(*words)
        assert result == (
            0,
            f"mnist: 4 files in {data.cache_root()}, every SHA-256 is right\n",
            "",
        )


@pytest.mark.usefixtures("mnist", "no_sources")
def test_json_lists_every_file(run: Runner) -> None:
    result = json.loads(run("data", "--json").out)
    assert result["root"] == str(data.cache_root())
    assert [file["name"] for file in result["files"]] == [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ]
    assert result["files"][0]["bytes"] == 47_040_016


@pytest.mark.usefixtures("no_sources")
def test_when_it_cannot_be_had_one_message_says_why_and_what_to_do(
    run: Runner, tmp_path: Path
) -> None:
    result = run("data", "fashion-mnist", "--data", tmp_path / "none")
    assert_explained(result, 1, "the network: unplugged")
    assert "--data DIR" in result.err


def test_a_wrong_file_in_a_folder_of_the_user_is_named_and_kept(
    run: Runner, tmp_path: Path
) -> None:
    path = tmp_path / "t10k-labels-idx1-ubyte"
    path.write_bytes(b"mine")
    assert_explained(run("data", "--data", tmp_path), 1, f"{path}: truncated: 4 of 10,008 bytes")
    assert path.read_bytes() == b"mine"


def test_an_unknown_data_set_is_wrong_usage(run: Runner) -> None:
    assert_explained(run("data", "cifar"), 2, "'cifar' is not one of mnist, fashion-mnist")
