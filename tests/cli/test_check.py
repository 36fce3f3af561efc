"""``digitvae check`` and ``generate --again``: whether an output still is what it should be."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import digitvae as dv
from digitvae.base.errors import OutputError
from digitvae.generation import audit
from digitvae.generation import check as checking
from digitvae.output import manifest
from digitvae.output.spec import OutputSpec
from digitvae.output.stores import open_store
from tests.support.running import Runner, assert_explained
from tests.support.trees import tree

KINDS = ["npy", "npz", "idx", "idx.gz", "raw", "tar", "parquet"]
SHARDS = 4
MAKE = ("generate", 50, "--shard-size", 15, "--seed", 5)
ADVICE = (
    "Delete what was changed, and have it and what is missing made by the command that made them, "
    "with resume (--resume)"
)


def shard(index: int, kind: str = "npy") -> Path:
    return Path(f"digits/digits-{index:05}-of-00004.{kind}")


@pytest.fixture
def made(run: Runner) -> Runner:
    """An output in shards, ``digits``, and the command line beside it."""
    assert run(*MAKE, "-o", "digits.npy").code == 0
    return run


def flip(path: Path, place: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def change_manifest(change: Callable[[dict[str, Any]], object]) -> None:
    path = Path("digits/manifest.json")
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_that_is_as_it_was_is_good_and_untouched(run: Runner, kind: str) -> None:
    assert run(*MAKE, "--first", 7, "-o", f"digits.{kind}").code == 0
    before = tree(Path())
    result = run("check", "digits", "--again", SHARDS)
    assert (result.code, result.err) == (0, "")
    size = sum(path.stat().st_size for path in Path("digits").glob("digits-*"))
    assert result.out.startswith(
        f"digits: 4 shards, {size:,} bytes, are what they should be; 4 made again: the same; in "
    )
    assert result.out.count("\n") == 1
    assert tree(Path()) == before


@pytest.mark.parametrize(
    "words", [["--dtype", "float32"], ["--digit", "3,1"], ["--digit", "0-9", "--truncation", "0.5"]]
)
def test_whatever_was_asked_for_is_made_again(
    run: Runner, labelled_bundle: Path, words: list[str]
) -> None:
    bundle = ("--bundle", labelled_bundle)
    assert run(*MAKE, *words, *bundle, "-o", "digits.npz").code == 0
    assert run("check", "digits", "--again", SHARDS, *bundle).code == 0


def test_some_shards_are_made_again_by_chance(
    made: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = []
    original = audit.problem

    def note(output: Any, maker: Any, question: audit.Question) -> str | None:
        again.append(question.record.first // 15 if question.again else None)
        return original(output, maker, question)

    monkeypatch.setattr("digitvae.generation.executor.problem", note)
    monkeypatch.setattr(checking, "random", random.Random(7))  # else this would fail now and then
    chosen = set()
    for _ in range(20):
        again.clear()
        assert made("check", "digits", "-q").code == 0
        assert len(again) == SHARDS
        (index,) = (index for index in again if index is not None)
        chosen.add(index)
    assert chosen == {0, 1, 2, 3}
    for number, expected in ((0, 0), (3, 3), (1_000_000, SHARDS)):
        again.clear()
        told = json.loads(made("check", "digits", "--again", number, "--json").out)
        assert told["shards_made_again"] == expected
        assert sum(index is not None for index in again) == expected


def test_what_is_told_as_json_is_complete(made: Runner) -> None:
    told = json.loads(made("check", "digits/", "--json").out)
    assert told.pop("seconds") > 0
    assert told == {
        "command": "check",
        "path": "digits/",
        "shards": SHARDS,
        "bytes": sum(path.stat().st_size for path in Path("digits").glob("digits-*")),
        "shards_made_again": 1,
        "not_looked_at": [],
    }


def test_quiet_is_quiet_and_failures_are_told_all_the_same(made: Runner) -> None:
    assert made("check", "digits", "-q") == (0, "", "")
    flip(shard(0))
    assert_explained(made("check", "digits", "-q"), 1, "1 of 4 shards of 'digits' are not")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [0, -1])
def test_a_changed_byte_is_found_where_the_size_is_the_same(
    run: Runner, kind: str, place: int
) -> None:
    assert run(*MAKE, "-o", f"digits.{kind}").code == 0
    before = tree(Path())
    right = hashlib.sha256(shard(2, kind).read_bytes()).hexdigest()
    flip(shard(2, kind), place)
    wrong = hashlib.sha256(shard(2, kind).read_bytes()).hexdigest()
    result = run("check", "digits", "--again", 0)
    assert_explained(result, 1, f"1 of 4 shards of 'digits' are not what they should be. {ADVICE}:")
    assert result.err.splitlines()[1:] == [
        f"  {shard(2, kind).name}: was changed: its SHA-256 is {wrong}, the manifest says {right}"
    ]
    shard(2, kind).unlink()
    assert run(*MAKE, "-o", f"digits.{kind}", "--resume").code == 0
    assert tree(Path()) == before
    assert run("check", "digits").code == 0


def test_everything_that_is_wrong_is_told_and_resuming_mends_it(made: Runner) -> None:
    before = tree(Path())
    size = shard(0).stat().st_size
    os.truncate(shard(0), size - 1)
    with shard(1).open("ab") as file:
        file.write(b"x")
    shard(3).unlink()
    result = made("check", "digits")
    assert_explained(result, 1, "3 of 4 shards of 'digits' are not what they should be")
    assert result.err.splitlines()[1:] == [
        f"  {shard(0).name}: has {size - 1:,} bytes; the manifest says {size:,}",
        f"  {shard(1).name}: has {size + 1:,} bytes; the manifest says {size:,}",
        f"  {shard(3).name}: cannot read '{shard(3)}': No such file or directory",
    ]
    assert made(*MAKE, "-o", "digits.npy", "--resume").code == 0
    assert tree(Path()) == before


def test_of_very_much_that_is_wrong_the_first_is_told(run: Runner) -> None:
    assert run("generate", 20, "--shard-size", 2, "-o", "digits.raw").code == 0
    for path in Path("digits").glob("digits-*"):
        if "00000-of" not in path.name:
            path.unlink()
    result = run("check", "digits")
    assert_explained(result, 1, "9 of 10 shards of 'digits'")
    told = result.err.splitlines()[1:]
    assert [line.partition("-of-")[0] for line in told[:-1]] == [
        f"  digits-{index:05}" for index in range(1, 6)
    ]
    assert told[-1] == "  and 4 others"


def test_what_is_wrong_is_told_in_order_whoever_looks_first(made: Runner) -> None:
    class Backwards:
        """Looks at the shards as machines of a cluster may: the last one first."""

        def make(self, shards: object, advance: object) -> None:
            raise NotImplementedError

        def check(
            self, questions: Iterable[audit.Question]
        ) -> Iterator[tuple[audit.Question, str | None]]:
            for question in reversed(list(questions)):
                yield question, "is odd" if question.record.first % 2 else None

    found = manifest.read(open_store("digits"))
    spec = OutputSpec.from_dict("digits", found.asked)
    with pytest.raises(OutputError) as caught:
        checking.refuse_problems(spec, found, Backwards(), again=0)
    told = str(caught.value).splitlines()[1:]
    assert told == [f"  {shard(index).name}: is odd" for index in (1, 3)]


def test_an_output_that_is_not_complete_is_sent_back_to_who_makes_it(made: Runner) -> None:
    def forget(content: dict[str, Any]) -> None:
        content["complete"] = False
        del content["files"][1]

    change_manifest(forget)
    message = "'digits' is not complete: 1 of 4 shards are still to be made, by the command that"
    assert_explained(made("check", "digits"), 1, message)
    assert made(*MAKE, "-o", "digits.npy", "--resume").code == 0
    assert made("check", "digits").code == 0


def swap_first_two(content: dict[str, Any]) -> None:
    one, two = content["files"][:2]
    one["name"], two["name"] = two["name"], one["name"]


def list_twice(content: dict[str, Any]) -> None:
    content["files"][1] = content["files"][0]


def leave_out(content: dict[str, Any]) -> None:
    del content["files"][2]


def lead_elsewhere(content: dict[str, Any]) -> None:
    content["files"][0]["name"] = "../thesis.txt"


def begin_before_the_first(content: dict[str, Any]) -> None:
    content["files"][0].update(name="digits--0001-of-00004.npy", first=-15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (begin_before_the_first, "it lists 'digits--0001-of-00004.npy' from -15"),
        (lambda content: content.update(count=51), "to hold 5 images"),
        (lambda content: content.update(count=49), "to hold 5 images"),
        (lambda content: content.update(count=20), "it lists 'digits-00000-of-00004.npy' from 0"),
        (lambda content: content.update(count=0), "count is 0"),
        (lambda content: content.update(count="50"), "count is '50'"),
        (lambda content: content.update(shard_size=14), "00000-of-00004.npy' is to hold 15"),
        (lambda content: content.update(shard_size=0), "shard_size is 0"),
        (lambda content: content.update(shard_size=2.5), "shard_size is 2.5"),
        (lambda content: content.update(height=0), "height is 0"),
        (lambda content: content.update(width=True), "width is True"),
        (lambda content: content.update(first=15), "it lists 'digits-00000"),
        (lambda content: content.update(first=-1), "indices are 0 to"),
        (lambda content: content.update(digits=[3]), "prior is 'standard'"),
        (lambda content: content.update(prior="normal"), "prior is 'normal'"),
        (lambda content: content.update(truncation=5), "truncation is 5"),
        (lambda content: content.update(seed=-1), "seed is -1"),
        (lambda content: content.update(dtype="float64"), "dtype is 'float64'"),
        (lambda content: content.update(format="tar"), "it lists 'digits-00000-of-00004.npy'"),
        (lambda content: content.update(format="xyz"), "KeyError: 'xyz'"),
        (lambda content: content.update(format=["npy"]), "unhashable"),
        (lambda content: content.update(labels=True), "npy holds no labels"),
        (lambda content: content.update(bundle_sha256=None), "bundle_sha256 is None"),
        (lambda content: content.update(owner="somebody"), "owner is 'somebody'"),
        (lambda content: content.update(owner=None), "owner is None"),
        (lambda content: content.pop("seed"), "KeyError: 'seed'"),
        (lambda content: content.pop("format"), "KeyError: 'format'"),
        (lambda content: content["files"][0].update(count=14), "to hold 14 images"),
        (lambda content: content["files"][0].update(first=1), "from 1"),
        (lambda content: content["files"][3].update(first=60), "from 60"),
        (swap_first_two, "it lists 'digits-00001-of-00004.npy' from 0"),
        (lead_elsewhere, "it lists '../thesis.txt' from 0"),
        (list_twice, "it lists a file twice"),
        (leave_out, "it is complete with 3 of 4 files"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_told(
    made: Runner, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    change_manifest(change)
    result = made("check", "digits")
    assert_explained(result, 1, "'digits/manifest.json' makes no sense (")
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seed", 6, "is what the manifest says, but made again it is another"),
        ("truncation", 0.5, "made again it is another"),
        ("height", 14, "cannot be made as the manifest says: "),
    ],
)
def test_a_manifest_of_other_digits_is_found_when_they_are_made_again(
    made: Runner, field: str, value: object, message: str
) -> None:
    change_manifest(lambda content: content.update({field: value}))
    result = made("check", "digits")
    assert_explained(result, 1, "1 of 4 shards of 'digits' are not what they should be")
    assert message in result.err
    assert made("check", "digits", "--again", 0).code == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"name": "a web app"}', "has the schema None, expected 'digitvae-output/1'"),
        (b'{"schema": "somebody-else/7"}', "has the schema 'somebody-else/7'"),
        (b"", "is damaged"),
        (b"\x89PNG", "is damaged"),
        (b"[]", "a list, expected an object"),
    ],
)
def test_a_foreign_manifest_is_told(made: Runner, content: bytes, message: str) -> None:
    Path("digits/manifest.json").write_bytes(content)
    result = made("check", "digits")
    assert_explained(result, 1, "'digits/manifest.json' ")
    assert message in result.err


def test_what_is_no_output_in_shards_is_told(made: Runner) -> None:
    assert made("generate", 3, "-o", "pictures").code == 0
    assert made("generate", 3, "-o", "data", "--format", "mnist").code == 0
    assert made("generate", 3, "-o", "one.npy").code == 0
    Path("empty").mkdir()
    not_checked = "' is not in shards but a folder"
    for place, message in [
        ("pictures", f"'pictures{not_checked} of PNGs, which is not checked"),
        ("missing", "there is no output in shards at 'missing'"),
        ("empty", "there is no output in shards at 'empty'"),
        ("data", f"'data{not_checked} that torchvision.datasets.MNIST reads, which is not"),
        ("one.npy", "there is no output in shards at 'one.npy'"),
        (str(shard(0)), "there is no output in shards at"),
    ]:
        assert_explained(made("check", place), 1, message)


def test_shards_of_another_bundle_are_not_made_again(
    made: Runner, labelled_bundle: Path, model: dv.Model
) -> None:
    bundle = ("--bundle", labelled_bundle)
    result = made("check", "digits", *bundle)
    message = f"'digits' was made with the bundle {model.bundle.sha256[:12]}…, and "
    assert_explained(result, 1, message)
    assert "with bundle (--bundle), or make nothing again with again=0 (--again 0)" in result.err
    result = made("check", "digits", *bundle, "--again", 0)
    assert (result.code, result.err) == (0, "")
    assert "; 0 made again: the same" in result.out
    flip(shard(3))
    assert_explained(made("check", "digits", *bundle, "--again", 0), 1, "was changed")


@pytest.fixture
def broken_engine(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The engine is right the first time; afterwards one pixel is not. What it was asked for."""
    right = dv.Model.draw
    asked: list[int] = []

    def draw(
        model: dv.Model, source: object, first: int, out: memoryview, *more: Any, **options: Any
    ) -> None:
        right(model, source, first, out, *more, **options)  # type: ignore[arg-type]
        if first in asked:
            out.cast("B")[123] ^= 1
        asked.append(first)

    monkeypatch.setattr(dv.Model, "draw", draw)
    return asked


def test_a_broken_engine_is_noticed_by_making_shards_twice(
    run: Runner, broken_engine: list[int]
) -> None:
    result = run(*MAKE, "-o", "digits.npy", "--again", 2)
    assert_explained(result, 1, f"2 of 2 shards of 'digits' are not what they should be. {ADVICE}:")
    told = result.err.splitlines()[1:]
    assert len(told) == 2
    for line in told:
        assert ".npy: is what the manifest says, but made again it is another: the machine" in line
    assert len(broken_engine) == SHARDS + 2
    assert_explained(run("check", "digits"), 1, "made again it is another")
    assert run("check", "digits", "--again", 0).code == 0


@pytest.mark.parametrize(("again", "expected"), [(0, 0), (1, 1), (3, 3), (100, SHARDS)])
def test_so_many_shards_are_made_twice(
    run: Runner, monkeypatch: pytest.MonkeyPatch, again: int, expected: int
) -> None:
    assert run(*MAKE, "-o", "once.npy").code == 0
    result = run(*MAKE, "-o", "digits.npy", "--again", again)
    assert (result.code, result.err) == (0, "")
    twice = f" {expected} made twice," if expected else ""
    assert result.out.startswith(f"digits: 50 digits, 4 of 4 shards,{twice} in ")
    assert tree(Path("digits")) == tree(Path("once"))
    words = (*MAKE, "-o", "digits.npy", "--again", again, "--resume", "--json")
    told = json.loads(run(*words).out)
    assert (told["shards_made"], told["shards_made_again"]) == (0, expected)


def test_resuming_makes_shards_again_that_are_not_what_the_manifest_says(made: Runner) -> None:
    before = tree(Path())
    for index in (0, 2):
        flip(shard(index))
    result = made(*MAKE, "-o", "digits.npy", "--resume")
    assert result.out.startswith("digits: 30 digits, 2 of 4 shards, in ")
    assert tree(Path()) == before
    assert made(*MAKE, "-o", "digits.npy", "--resume").out.startswith("digits: 0 digits, already")


def test_files_that_the_manifest_does_not_list_are_not_vouched_for(made: Runner) -> None:
    Path("digits/notes.txt").write_text("mine")
    result = made("check", "digits")
    assert (result.code, result.err) == (0, "")
    assert "; 1 other file was not looked at: notes.txt\n" in result.out
    assert json.loads(made("check", "digits", "--json").out)["not_looked_at"] == ["notes.txt"]
    for name in ("digits-00004-of-00005.npy", "digits-00000-of-00004.tar"):
        Path("digits", name).write_bytes(shard(0).read_bytes())
        assert_explained(made("check", "digits"), 1, f"'digits' holds '{name}', which its manifest")
        Path("digits", name).unlink()
    assert made("check", "digits").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["generate", "50", "--again", "1"],
            "again (--again) makes shards twice: give shard_size (--shard-size)",
        ),
        (["generate", "50", "--shard-size", "5", "--again", "-1"], "--again"),
        (["check"], "OUTPUT"),
        (["check", "digits", "--again", "-1"], "--again"),
        (["check", "digits", "--address", "auto"], "--address is for --engine ray"),
        (["generate", "50", "--mixed-processors"], "--mixed-processors is for --engine ray"),
        (
            ["generate", "50", "--engine", "ray", "--again", "1", "--mixed-processors"],
            "again (--again) compares bytes, which same_bits=False (--mixed-processors) lets",
        ),
    ],
)
def test_wrong_usage_is_told(run: Runner, words: list[str], message: str) -> None:
    assert_explained(run(*words), 2, message)
    assert not list(Path().iterdir())


@pytest.mark.parametrize("what", ["digitvae", "onnxruntime"])
def test_other_versions_make_nothing_again(run: Runner, what: str) -> None:
    assert run(*MAKE, "-o", "digits.npy").code == 0
    path = Path("digits/manifest.json")
    told = json.loads(path.read_bytes()) | {what: "0.1"}
    path.write_text(json.dumps(told))
    result = run("check", "digits")
    assert_explained(result, 1, f"was made with {what} 0.1, and this is ")
    assert run("check", "digits", "--again", 0).code == 0


def test_what_cannot_be_read_now_is_not_called_wrong(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*MAKE, "-o", "digits.npy").code == 0

    def refuse(*_arguments: object) -> None:
        raise OutputError("cannot read 'digits/digits-00000-of-00004.npy': Input/output error")

    monkeypatch.setattr(manifest, "describe", refuse)
    result = run("check", "digits")
    assert_explained(result, 1, "Input/output error")
    assert "should be" not in result.err
