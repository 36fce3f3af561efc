"""What a cluster run refuses, and how it says so."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import digitvae as dv
from digitvae.engine.sampling import LatentSource
from digitvae.generation.audit import Question
from digitvae.generation.ray import schedule, workers
from digitvae.generation.ray.cluster import _is_for_this_machine_alone, leave
from digitvae.generation.ray.cluster import connected as connect
from digitvae.generation.ray.executor import RayExecutor
from digitvae.generation.ray.workers import EngineRecipe
from digitvae.output.manifest import FileRecord
from digitvae.output.shards import open_shards
from digitvae.output.spec import Origin, OutputSpec
from tests.support.running import Runner, assert_explained
from tests.support.trees import tree

WITHOUT_RAY = """
import sys
sys.modules["ray"] = None
from digitvae.cli.app import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_ray_the_extra_is_named(tmp_path: Path) -> None:
    for words in (["generate", "10", "--engine", "ray"], ["generate", "10", "--shard-size", "5"]):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_RAY, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        if "ray" in words:
            assert done.returncode == 1
            assert "pip install 'digitvae[ray]'" in done.stderr
            assert "Traceback" not in done.stderr
            assert not list(tmp_path.iterdir())
        else:  # nothing else needs it
            assert done.returncode == 0, done.stderr


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@pytest.mark.usefixtures("unconnected")
@pytest.mark.parametrize("way", ["option", "environment"])
def test_where_nobody_answers_there_is_no_cluster(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    address = f"127.0.0.1:{free_port()}"
    words = ["--address", address] if way == "option" else []
    monkeypatch.setenv("RAY_ADDRESS", address if way == "environment" else "127.0.0.1:1")
    result = run("generate", 10, "--engine", "ray", *words)
    assert_explained(result, 1, f"there is no Ray cluster at '{address}' (Connection refused)")
    assert "ray start --head" in result.err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("unconnected")
@pytest.mark.parametrize(
    "address", ["nonsense", "host:port", "127.0.0.1:99999", "ray://127.0.0.1:10001", "[::1"]
)
def test_an_address_that_is_none_is_told(run: Runner, address: str) -> None:
    result = run("generate", 10, "--engine", "ray", "--address", address)
    assert_explained(result, 1, f"there is no Ray cluster at '{address}'")


@pytest.mark.usefixtures("unconnected")
def test_without_a_cluster_on_this_machine_it_is_told_how_to_start_one(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    def refuse(**_options: object) -> None:
        raise ConnectionError("Could not find any running Ray instance. Please …")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(ray, "init", refuse)
    result = run("generate", 10, "--engine", "ray")
    assert_explained(result, 1, "there is no Ray cluster on this machine: start one with 'ray sta")


@pytest.mark.usefixtures("unconnected")
def test_a_cluster_on_this_machine_that_has_died_is_none(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has left a note of its address, which Ray would try for minutes."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"{address}\n")
    result = run("generate", 10, "--engine", "ray")
    assert_explained(result, 1, f"there is no Ray cluster at '{address}' (Connection refused)")


@pytest.mark.usefixtures("unconnected")
def test_a_cluster_that_answers_and_lets_nobody_in_is_told(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does whose token is another's."""
    import ray

    def refuse(**_options: object) -> None:
        raise ConnectionError("Failed to connect")

    monkeypatch.setattr(ray, "init", refuse)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        result = run("generate", 10, "--engine", "ray")
    assert_explained(result, 1, f"the Ray cluster at '{address}' cannot be joined (Failed to conn")
    assert "~/.ray/auth_token" in result.err


@pytest.mark.parametrize(
    ("note", "asked", "environment", "alone"),
    [
        ("127.0.0.1:6379", "auto", None, True),
        ("127.0.0.1:6379", "127.0.0.1:6379", None, True),
        ("127.0.0.1:6379", "auto", "127.0.0.1:6379", True),
        ("127.0.0.1:6379", "127.0.0.1:6380", None, False),
        ("127.0.0.1:6379", "auto", "192.0.2.7:6379", False),
        ("192.0.2.2:6379", "auto", None, False),
        ("192.0.2.2:6379", "127.0.0.1:6379", None, False),
        (None, "auto", None, False),
        (None, "127.0.0.1:6379", None, False),
    ],
)
def test_a_cluster_for_this_machine_alone_is_known_by_its_note(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    note: str | None,
    asked: str,
    environment: str | None,
    alone: bool,
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if environment is not None:
        monkeypatch.setenv("RAY_ADDRESS", environment)
    if note is not None:
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(note)
    assert _is_for_this_machine_alone(asked) is alone


@pytest.mark.usefixtures("unconnected")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--address", "auto"], "--address is for --engine ray"),
        (["--mixed-processors"], "--mixed-processors is for --engine ray"),
        (["--again", "1"], "again (--again) makes shards twice: give shard_size (--shard-size)"),
        (["--engine", "ray", "-o", "-"], "not to standard output"),
        (["--engine", "ray", "-o", "a.png"], "png is not written in shards"),
        (["--engine", "ray", "-o", "ftp://host/a.npy"], "cannot write to ftp://; known: s3://"),
        (["--engine", "ray", "-o", "s3://bucket"], "write s3://BUCKET/NAME"),
        (["--engine", "spark"], "'spark' is not one of"),
    ],
)
def test_wrong_usage_is_told_before_a_cluster_is_asked(
    run: Runner, tmp_path: Path, words: list[str], message: str
) -> None:
    assert_explained(run("generate", 10, *words), 2, message)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("connected", "s3")
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, run: Runner) -> None:
    asked = ("generate", 20, "--shard-size", 10, "--engine", "ray")
    for place, message in (
        ("missing/a.npy", "its folder '"),
        ("s3://no-such-bucket/a.npy", "cannot write 's3://no-such-bucket/a"),
    ):
        result = run(*asked, "-o", place)
        assert_explained(result, 1, message)
        assert len(result.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("connected")
def test_an_output_that_exists_is_kept(tmp_path: Path, run: Runner) -> None:
    asked = ("generate", 20, "--shard-size", 10, "--engine", "ray", "-o", "out.npy")
    assert run(*asked).code == 0
    before = tree(tmp_path)
    assert_explained(run(*asked), 1, "--resume")
    assert_explained(run(*asked, "--seed", 1, "--resume"), 2, "begun with seed 0, not 1")
    assert tree(tmp_path) == before


def output_in(folder: Path, model: dv.Model, *, count: int = 40, size: int = 10) -> OutputSpec:
    origin = Origin(
        source=LatentSource(),
        bundle_sha256=model.bundle.sha256,
        dataset="mnist",
        digitvae=dv.__version__,
        onnxruntime=model.runtime_version,
    )
    return OutputSpec(str(folder), "npy", count, shard_size=size, origin=origin)


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize(
    ("change", "message"),
    [  # each with a trial of its own, so that no worker has such an engine yet
        (
            {"digitvae": "0.1", "trial": "ab" * 32},
            r"has digitvae .*begun with 0\.1: install the same everywhere",
        ),
        ({"onnxruntime": "0.2", "trial": "cd" * 32}, r"has onnxruntime .*begun with 0\.2"),
        ({"trial": "ef" * 32}, "rounds differently.*--mixed-processors"),
    ],
)
def test_machines_that_would_make_other_bytes_are_refused(
    tmp_path: Path,
    model: dv.Model,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    message: str,
) -> None:
    original: Callable[..., EngineRecipe] = workers.recipe_of

    def changed(model: dv.Model, *, same_bits: bool) -> EngineRecipe:
        return replace(original(model, same_bits=same_bits), **change)

    monkeypatch.setattr("digitvae.generation.ray.executor.recipe_of", changed)
    output = output_in(tmp_path / "out", model, count=10)  # one shard: none goes on beside it
    executor = RayExecutor(output, model)
    with (
        pytest.raises(dv.ClusterError, match=message) as raised,
        open_shards(output) as shards,
    ):
        executor.make(shards, lambda _images: None)
    assert socket.gethostname() in str(raised.value)
    assert not list((tmp_path / "out").glob("digits-*"))


@pytest.mark.usefixtures("connected")
def test_processors_that_round_differently_may_be_accepted(
    tmp_path: Path, model: dv.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "trial_of", lambda _model: "ab" * 32)
    output = output_in(tmp_path / "out", model)
    executor = RayExecutor(output, model, same_bits=False)
    with open_shards(output) as shards:
        executor.make(shards, lambda _images: None)
    assert len(list((tmp_path / "out").glob("digits-*"))) == 4


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize(("there", "count"), [("nothing", 10), ("another output", 40)])
def test_a_folder_that_machines_do_not_share_is_refused(
    tmp_path: Path, model: dv.Model, there: str, count: int
) -> None:
    """As on a machine on whose disk the folder is another one, or missing."""
    output = output_in(tmp_path / "out", model, count=count)
    with open_shards(output) as shards:
        pass
    elsewhere = output_in(tmp_path / "elsewhere", model, size=20)
    if there == "another output":
        with open_shards(elsewhere):
            pass
    wrong = replace(output, path=str(tmp_path / "elsewhere"))
    executor = RayExecutor(wrong, model)
    with pytest.raises(
        dv.ClusterError, match=r"is not here what it is where the run was begun.*share it"
    ):
        executor.make(shards, lambda _images: None)
    assert not list(tmp_path.glob("*/digits-*"))


def test_workers_that_fit_nowhere_are_told(
    connected: Any, tmp_path: Path, model: dv.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "_PATIENCE_SECONDS", 0.0)
    assert connected.cluster_resources()["CPU"] >= 2  # but on machines of one
    output = output_in(tmp_path / "out", model)
    executor = RayExecutor(output, model, threads=2)
    with (
        pytest.raises(dv.ClusterError, match="no machine of the cluster has 2 processors"),
        open_shards(output) as shards,
    ):
        executor.make(shards, lambda _images: None)


def always_fails(_job: None, item: int) -> None:
    raise ZeroDivisionError(f"item {item}")


def always_dies(_job: None, _item: int) -> None:
    import os

    os._exit(3)


@pytest.mark.usefixtures("connected")
def test_a_worker_that_fails_in_an_unforeseen_way_is_told_in_a_line() -> None:
    with pytest.raises(dv.ClusterError, match="a worker failed: ZeroDivisionError: item 7"):
        list(schedule.spread(always_fails, None, [7], threads=1))


@pytest.mark.usefixtures("unconnected")
def test_what_errors_hold_is_let_go_of_before_the_cluster_is_left(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread that did so while Ray shuts down would end the process."""
    import ray

    errors: list[weakref.ref[dv.ClusterError]] = []
    found: list[dv.ClusterError | None] = []
    original = ray.shutdown

    def shutdown() -> None:
        found.extend(error() for error in errors)
        original()

    monkeypatch.setattr(ray, "shutdown", shutdown)
    gc.disable()
    try:
        with connect(cluster.address):
            try:
                list(schedule.spread(always_fails, None, [7], threads=1))
            except dv.ClusterError as error:
                error.itself = error  # type: ignore[attr-defined]  # as frames often do
                errors.append(weakref.ref(error))
    finally:
        gc.enable()
    assert found == [None]


@pytest.mark.usefixtures("unconnected")
@pytest.mark.parametrize("code", [1, 0, None, "told by Ray", 143])
def test_ray_that_ends_the_process_is_told_as_a_failure_of_the_cluster(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, code: object
) -> None:
    """As it does in `ray.wait` when the head dies. 143 is a signal's."""
    import ray

    def end(*_arguments: object, **_options: object) -> None:
        raise SystemExit(code)

    expected: type[BaseException] = dv.ClusterError
    message = "Ray wanted this process to end"
    if code == 143:
        expected, message = SystemExit, "143"
    monkeypatch.setattr(ray, "wait", end)
    with pytest.raises(expected, match=message), connect(cluster.address):
        list(schedule.spread(double, 3, [1], threads=1))


@pytest.mark.usefixtures("connected")
def test_a_head_that_does_not_answer_ends_the_run_and_is_not_waited_for() -> None:
    """Ray would end this process, while the cluster is left or after a minute."""
    import ray

    with pytest.MonkeyPatch.context() as patch:

        def refuse(*_arguments: object, **_options: object) -> None:
            raise ConnectionRefusedError

        def items() -> Iterator[int]:
            yield 1
            patch.setattr(socket, "create_connection", refuse)
            yield 2
            yield 3

        patch.setattr(schedule, "_HEAD_SECONDS", 0.0)
        patch.setattr(schedule, "_LOOK_SECONDS", 0.01)
        with pytest.raises(dv.ClusterError, match=r"its head has not answered"):
            list(schedule.spread(linger, 0.5, items(), threads=1))
        assert ray.is_initialized()
    leave()


def linger(seconds: float, _item: int) -> None:
    time.sleep(seconds)


def test_a_worker_that_always_dies_is_given_up(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "ATTEMPTS", 2)
    with (
        pytest.raises(dv.ClusterError, match=r"the cluster failed: .*(died|crash)"),
        connect(cluster.address),
    ):
        list(schedule.spread(always_dies, None, [7], threads=1))


def test_a_place_that_cannot_be_seen_at_once_is_tried_again(
    tmp_path: Path, model: dv.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the driver replaces the manifest while a worker reads it."""
    work = workers.ShardWork(
        output_in(tmp_path / "out", model),
        workers.EngineRecipe("", [], "", "", None),
        1,
    )

    def refuse(*_arguments: object) -> None:
        raise dv.OutputError("cannot read: Input/output error")

    monkeypatch.setattr("digitvae.output.manifest.read", refuse)
    record = FileRecord("digits-00000-of-00004.npy", 0, 10, 1, "")
    with pytest.raises(dv.OutputError, match="Input/output error"):  # which are tried again
        workers.make(work, 0)
    with pytest.raises(dv.OutputError, match="Input/output error"):
        workers.check(work, Question(record, again=False))


@pytest.mark.usefixtures("connected")
def test_a_bundle_that_is_sent_is_in_no_folder_of_others(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = dv.load(tiny_bundle)
    recipe = workers.recipe_of(model, same_bits=True)
    guessed = tmp_path / f"digitvae-{os.getuid()}"
    for name in (recipe.bundle_sha256, ""):  # as somebody would leave it there
        shutil.copytree(tiny_bundle, guessed / name, dirs_exist_ok=True)
    found = workers._bundle(recipe)
    assert not found.path.is_relative_to(guessed)
    assert not found.path.exists()
    assert list(tmp_path.iterdir()) == [guessed]
    assert found.sha256 == recipe.bundle_sha256
    for name in ("decoder.onnx", "encoder.onnx", "prior.onnx"):
        assert found.read(name) == (tiny_bundle / name).read_bytes()
    with pytest.raises(dv.BundleError, match=r"is missing|cannot read"):
        found.read("weights.safetensors")
    assert workers.trial_of(dv.load(found)) == recipe.trial


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("name", ["decoder.onnx", "manifest.json"])
def test_a_bundle_that_was_changed_on_its_way_is_refused(
    connected: Any, tiny_bundle: Path, name: str
) -> None:
    recipe = workers.recipe_of(dv.load(tiny_bundle), same_bits=False)
    content = connected.get(recipe.files[0])
    if name == "manifest.json":
        content[name] += b"\n"
    else:
        content[name] = bytes(len(content[name]))
    changed = replace(recipe, files=[connected.put(content)])
    with pytest.raises(dv.DigitVAEError, match=r"was sent has SHA-256|decoder\.onnx was changed"):
        workers._bundle(changed)


@pytest.mark.usefixtures("connected")
def test_a_bundle_that_was_changed_since_it_was_opened_is_not_sent(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    model = dv.load(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    damaged = tmp_path / "bundle" / "weights.safetensors"
    damaged.write_bytes(bytes(damaged.stat().st_size))
    with pytest.raises(dv.BundleError, match=r"weights\.safetensors was changed"):
        workers.recipe_of(model, same_bits=False)


def double(job: int, item: int) -> int:
    return job * item


@pytest.mark.usefixtures("connected")
def test_every_item_has_its_result_and_few_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0

    def items() -> Any:
        nonlocal taken
        for item in range(50):
            taken += 1
            yield item

    found = {}
    for item, result in schedule.spread(double, 3, items(), threads=1):
        found[item] = result
        assert taken - len(found) <= 4  # two for each of the two processors
    assert found == {item: 3 * item for item in range(50)}
