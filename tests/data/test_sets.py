"""Data sets: found in every layout, believed only with the right SHA-256, fetched when missing.

Most tests use a data set of four tiny files in the place of MNIST, and sources that are functions.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from digitvae.base.errors import DataError
from digitvae.data import idx
from digitvae.data import sets as data
from digitvae.data.sets import DATASETS, DatasetSpec, FileSpec, Split
from digitvae.data.sources import Source, Unavailable

TRAIN_IMAGES = "train-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"


def tiny_files(seed: int) -> dict[str, bytes]:
    rng = np.random.default_rng(seed)
    files = {}
    for prefix, n in (("train", 6), ("t10k", 2)):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        files[f"{prefix}-images-idx3-ubyte"] = idx.header(images.shape) + images.tobytes()
        files[f"{prefix}-labels-idx1-ubyte"] = idx.header((n,)) + bytes(range(n))
    return files


def spec_of(name: str, folder: str, files: dict[str, bytes]) -> DatasetSpec:
    specs = (FileSpec(n, len(c), hashlib.sha256(c).hexdigest()) for n, c in files.items())
    return DatasetSpec(name, folder, tuple(specs))


DIGITS, CLOTHES = tiny_files(1), tiny_files(2)


@pytest.fixture(autouse=True)
def tiny_datasets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "mnist" not in request.fixturenames:
        monkeypatch.setitem(DATASETS, "mnist", spec_of("mnist", "MNIST", DIGITS))
        clothes = spec_of("fashion-mnist", "FashionMNIST", CLOTHES)
        monkeypatch.setitem(DATASETS, "fashion-mnist", clothes)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("DIGITVAE_DATA", str(folder))
    return folder


def fill(folder: Path, files: dict[str, bytes], *, packed: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)


def source(deliver: Callable[[str, Path], None], title: str = "a test") -> Source:
    return Source(title, frozenset({"mnist", "fashion-mnist"}), deliver)


def giving(files: dict[str, bytes], title: str = "a test", *, packed: bool = False) -> Source:
    return source(lambda _, scratch: fill(scratch / "deep" / "er", files, packed=packed), title)


def unreachable(title: str) -> Source:
    def deliver(_name: str, _scratch: Path) -> None:
        raise Unavailable(f"{title} is down")

    return source(deliver, title)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def assert_is_digits(loaded: dict[str, Split]) -> None:
    assert list(loaded) == ["train", "test"]
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = loaded[split]
        assert images.tobytes() == DIGITS[f"{prefix}-images-idx3-ubyte"][16:]
        assert images.shape == (len(labels), 28, 28)
        assert labels.tobytes() == bytes(range(len(labels)))


def test_the_real_mnist_is_the_published_one(mnist: dict[str, Split]) -> None:
    assert mnist["train"].images.shape == (60_000, 28, 28)
    assert mnist["test"].images.shape == (10_000, 28, 28)
    assert mnist["train"].labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist["test"].labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    # The mean and standard deviation that everybody normalizes MNIST with.
    assert mnist["train"].images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert mnist["train"].images.std() / 255 == pytest.approx(0.3081, abs=5e-5)


def test_the_head_of_a_split_is_its_first_images_and_labels(mnist: dict[str, Split]) -> None:
    head = mnist["test"].head(3)
    assert np.array_equal(head.images, mnist["test"].images[:3])
    assert head.labels.tolist() == [7, 2, 1]
    assert len(head.head(10).labels) == 3


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("below", ["", "MNIST/raw"])
def test_a_folder_of_the_user_is_read_in_every_layout(
    tmp_path: Path, below: str, packed: bool
) -> None:
    fill(tmp_path / below, DIGITS, packed=packed)
    before = contents(tmp_path)
    assert_is_digits(data.load("mnist", tmp_path))
    assert contents(tmp_path) == before


def test_only_the_splits_asked_for_are_needed_and_read(tmp_path: Path) -> None:
    fill(tmp_path, {name: c for name, c in DIGITS.items() if name.startswith("t10k")})
    assert list(data.load("mnist", tmp_path, ["test"])) == ["test"]
    with pytest.raises(DataError, match=TRAIN_IMAGES):
        data.load("mnist", tmp_path)


def test_nothing_is_fetched_into_a_folder_that_is_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digitvae.data.sources.SOURCES", (giving(DIGITS),))
    with pytest.raises(DataError, match=r"digitvae data --dataset mnist --data"):
        data.load("mnist", tmp_path)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c[:-1], "truncated: 4,719 of 4,720 bytes"),
        (lambda c: b"", "truncated: 0 of"),
        (lambda c: c[:100] + b"\x01" + c[101:], "not the original"),
        (lambda c: c + b"\0", "not the original.*longer"),
        (lambda c: CLOTHES[TRAIN_IMAGES], "is a file of fashion-mnist"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_wrong_file_of_the_user_is_named_and_never_changed(
    tmp_path: Path, damage: Callable[[bytes], bytes], message: str, packed: bool
) -> None:
    fill(tmp_path, DIGITS | {TRAIN_IMAGES: damage(DIGITS[TRAIN_IMAGES])}, packed=packed)
    before = contents(tmp_path)
    for attempt in (data.load, lambda _, root: data.fetch("mnist", root, sources=[giving(DIGITS)])):
        with pytest.raises(DataError, match=message) as caught:
            attempt("mnist", tmp_path)
        assert str(tmp_path / TRAIN_IMAGES) in str(caught.value)
    assert contents(tmp_path) == before


def test_damaged_compression_is_a_data_error(tmp_path: Path) -> None:
    fill(tmp_path, DIGITS, packed=True)
    path = tmp_path / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        data.load("mnist", tmp_path)


def test_fetching_into_a_folder_of_the_user_adds_what_is_missing_only(tmp_path: Path) -> None:
    kept = {name: c for name, c in DIGITS.items() if name != TEST_LABELS}
    fill(tmp_path, kept, packed=True)
    before = contents(tmp_path)
    assert data.fetch("mnist", tmp_path, say=quiet, sources=[giving(DIGITS)]) == tmp_path
    assert contents(tmp_path) == before | {f"MNIST/raw/{TEST_LABELS}": DIGITS[TEST_LABELS]}
    assert_is_digits(data.load("mnist", tmp_path))


@pytest.mark.parametrize("packed", [False, True])
def test_an_empty_cache_is_filled_in_the_layout_of_torchvision(cache: Path, packed: bool) -> None:
    data.fetch("mnist", say=quiet, sources=[giving(DIGITS, packed=packed)])
    assert contents(cache) == {f"MNIST/raw/{name}": c for name, c in DIGITS.items()}


def test_loading_fetches_what_the_cache_lacks_and_says_so(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digitvae.data.sources.SOURCES", (giving(DIGITS, "the moon"),))
    said: list[str] = []
    assert_is_digits(data.load("mnist", say=said.append))
    assert said == ["fetching mnist from the moon"]
    assert_is_digits(data.load("mnist", say=said.append))
    assert len(said) == 1


def test_the_two_data_sets_do_not_mix(cache: Path) -> None:
    data.fetch("mnist", say=quiet, sources=[giving(DIGITS)])
    data.fetch("fashion-mnist", say=quiet, sources=[giving(CLOTHES)])
    clothes = data.load("fashion-mnist")["train"].images
    assert clothes.tobytes() == CLOTHES[TRAIN_IMAGES][16:]
    assert_is_digits(data.load("mnist"))


@pytest.mark.parametrize(
    "damage",
    [lambda c: c[:1000], lambda c: c[::-1], lambda c: CLOTHES[TRAIN_IMAGES]],
    ids=["partial", "corrupt", "foreign"],
)
def test_a_damaged_file_in_the_cache_is_named_and_fetched_again(
    cache: Path, damage: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cache / "MNIST" / "raw", DIGITS | {TRAIN_IMAGES: damage(DIGITS[TRAIN_IMAGES])})
    monkeypatch.setattr("digitvae.data.sources.SOURCES", (giving(DIGITS),))
    said: list[str] = []
    assert_is_digits(data.load("mnist", say=said.append))
    assert str(cache / "MNIST" / "raw" / TRAIN_IMAGES) in said[0]
    assert said[0].endswith("fetching it again")
    assert contents(cache) == {f"MNIST/raw/{name}": c for name, c in DIGITS.items()}


def test_a_source_that_delivers_damage_is_followed_by_the_next(cache: Path) -> None:
    bad = giving(DIGITS | {TRAIN_IMAGES: DIGITS[TRAIN_IMAGES][:-5]}, "careless")
    data.fetch("mnist", say=quiet, sources=[unreachable("far"), bad, giving(DIGITS, "good")])
    assert_is_digits(data.load("mnist"))


def test_what_one_source_lacks_another_may_add(cache: Path) -> None:
    half = {name: c for name, c in DIGITS.items() if "images" in name}
    rest = {name: c for name, c in DIGITS.items() if "labels" in name}
    data.fetch("mnist", say=quiet, sources=[giving(half), giving(rest)])
    assert_is_digits(data.load("mnist"))


def test_a_source_of_another_data_set_is_not_asked(cache: Path) -> None:
    def refuse(_name: str, _scratch: Path) -> None:
        pytest.fail("asked")

    other = Source("other", frozenset({"fashion-mnist"}), refuse)
    data.fetch("mnist", say=quiet, sources=[other, giving(DIGITS)])


def test_when_everything_fails_one_error_says_what_was_tried_and_the_ways_out(cache: Path) -> None:
    bad = giving({TEST_LABELS: DIGITS[TEST_LABELS], TRAIN_IMAGES: b"junk"}, "careless")
    with pytest.raises(DataError) as caught:
        data.fetch("mnist", say=quiet, sources=[unreachable("far"), bad])
    message = str(caught.value)
    assert "far: far is down" in message
    assert f"careless: deep/er/{TRAIN_IMAGES}: truncated: 4 of 4,720 bytes" in message
    assert "careless: t10k-images-idx3-ubyte was not in the delivery" in message
    assert "--data DIR" in message
    assert "DIGITVAE_DATA" in message
    # What was good is kept, and nothing else is left behind.
    assert contents(cache) == {f"MNIST/raw/{TEST_LABELS}": DIGITS[TEST_LABELS]}
    assert [p.name for p in cache.iterdir()] == ["MNIST"]


def test_an_interruption_leaves_nothing_behind(cache: Path) -> None:
    def interrupted(_name: str, scratch: Path) -> None:
        fill(scratch, DIGITS)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.fetch("mnist", say=quiet, sources=[source(interrupted)])
    assert contents(cache) == {}


def test_a_place_that_cannot_be_written_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot store mnist there"):
        data.fetch("mnist", tmp_path / "file" / "below", say=quiet, sources=[giving(DIGITS)])


def test_a_full_disk_is_a_data_error(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        data.fetch("mnist", say=quiet, sources=[giving(DIGITS)])
    assert contents(cache) == {}


def test_many_at_once_may_fetch_into_one_cache(cache: Path) -> None:
    together = threading.Barrier(4)

    def slow(_name: str, scratch: Path) -> None:
        together.wait(timeout=30)  # so that every one has found the cache empty
        fill(scratch, DIGITS)

    def fetch(_: int) -> None:
        data.fetch("mnist", say=quiet, sources=[source(slow)])
        assert_is_digits(data.load("mnist"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fetch, range(4)))
    assert contents(cache) == {f"MNIST/raw/{name}": c for name, c in DIGITS.items()}


def test_images_of_one_s_own_have_any_size_and_a_name(tmp_path: Path) -> None:
    images, labels = np.full((3, 5, 7), 9, np.uint8), np.arange(3, dtype=np.uint8)
    files = {"images-idx3": images, "labels-idx1": labels}
    content = {f"train-{k}-ubyte": idx.header(v.shape) + v.tobytes() for k, v in files.items()}
    for packed in (False, True):
        fill(tmp_path / str(packed), content, packed=packed)
        (split,) = data.load("glyphs-1", tmp_path / str(packed), ("train",)).values()
        assert np.array_equal(split.images, images)
        assert np.array_equal(split.labels, labels)
    with pytest.raises(DataError, match="t10k-images"):
        data.load("glyphs-1", tmp_path / "False")
    (tmp_path / "False" / "train-labels-idx1-ubyte").write_bytes(idx.header((2,)) + bytes(2))
    with pytest.raises(DataError, match=r"train images \[3, 5, 7\], labels \[2\]"):
        data.load("glyphs-1", tmp_path / "False", ("train",))
    for name, root in (("glyphs", None), ("../glyphs", tmp_path), ("", tmp_path)):
        with pytest.raises(ValueError, match="IDX files of your own"):
            data.load(name, root)


def test_unknown_names_are_value_errors() -> None:
    with pytest.raises(ValueError, match=r"'cifar'.*mnist, fashion-mnist"):
        data.load("cifar")
    with pytest.raises(ValueError, match="'cifar'"):
        data.fetch("cifar")
    with pytest.raises(ValueError, match="'validation'"):
        data.load("mnist", splits=["validation"])


def test_the_cache_is_where_each_platform_expects_it(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path("/home/someone")
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.delenv("DIGITVAE_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert data.cache_root() == home / ".cache/digitvae/data"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/invalid")
    assert data.cache_root() == home / ".cache/digitvae/data"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert data.cache_root() == Path("/var/cache/me/digitvae/data")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert data.cache_root() == home / "Library/Caches/digitvae/data"
    monkeypatch.setattr(sys, "platform", "win32")
    assert data.cache_root() == home / "AppData/Local/digitvae/data"
    monkeypatch.setenv("DIGITVAE_DATA", "/elsewhere")
    assert data.cache_root() == Path("/elsewhere")


def quiet(_line: str) -> None:
    pass


@pytest.mark.parametrize("chosen", [None, "~/data", "~"])
def test_a_user_without_a_home_folder_is_told_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chosen: str | None
) -> None:
    import pwd

    def unknown(_uid: int) -> None:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME", "DIGITVAE_DATA"):
        monkeypatch.delenv(name, raising=False)
    if chosen is not None:
        monkeypatch.setenv("DIGITVAE_DATA", chosen)
    for action in (data.cache_root, data.load, data.fetch):
        with pytest.raises(DataError, match="no home folder: set DIGITVAE_DATA to a folder"):
            action()
    monkeypatch.setenv("DIGITVAE_DATA", str(tmp_path))
    assert data.cache_root() == tmp_path
    monkeypatch.delenv("DIGITVAE_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data.cache_root() == tmp_path / "digitvae" / "data"
