"""Labels, and what the libraries that people train with make of the outputs that hold them."""

from __future__ import annotations

import array
import gzip
import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from digitvae.base.errors import OutputError
from digitvae.output import FORMATS, open_sink
from tests.support.images import some_images, write
from tests.support.readers import Images, parse_png
from tests.support.trees import tree

COUNT = 2345  # more than two row groups, and than two pieces of PNGs
LABELLED = [name for name, kind in FORMATS.items() if kind.labels]


@pytest.fixture(scope="module")
def images() -> Images:
    return some_images(COUNT)


@pytest.fixture(scope="module")
def labels() -> Images:
    return np.random.default_rng(1).integers(0, 10, COUNT, np.int32)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hugging Face's libraries without a network, their caches where they go away again."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True, raising=False)
    datasets.disable_progress_bars()


def load_parquet(files: list[str], tmp_path: Path) -> Any:
    import datasets

    return datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )


@pytest.mark.usefixtures("offline")
def test_hugging_face_datasets_decode_pictures_and_name_labels(
    tmp_path: Path, images: Images, labels: Images
) -> None:
    write(tmp_path / "a.parquet", images, 700, labels=labels, first=2**64 - COUNT)
    found = load_parquet([str(tmp_path / "a.parquet")], tmp_path)
    assert found.features["label"].names == [str(digit) for digit in range(10)]
    assert found["label"][:] == labels.tolist()
    assert found["index"][:] == [2**64 - COUNT + i for i in range(COUNT)]
    for row, image in zip(found, images, strict=True):
        assert row["image"].mode == "L"
        np.testing.assert_array_equal(np.asarray(row["image"]), image)


@pytest.mark.usefixtures("offline")
def test_hugging_face_datasets_read_images_without_labels(tmp_path: Path, images: Images) -> None:
    write(tmp_path / "a.parquet", images[:7], 3)
    write(tmp_path / "b.parquet", images[7:9], first=7)
    files = [str(tmp_path / name) for name in ("a.parquet", "b.parquet")]
    found = load_parquet(files, tmp_path)
    assert set(found.features) == {"image", "index"}
    assert found["index"][:] == list(range(9))
    np.testing.assert_array_equal([np.asarray(row["image"]) for row in found], images[:9])


def test_the_columns_of_a_parquet_file_are_as_documented(
    tmp_path: Path, images: Images, labels: Images
) -> None:
    write(tmp_path / "a.parquet", images, labels=labels)
    file = parquet.ParquetFile(tmp_path / "a.parquet")
    assert file.schema_arrow.remove_metadata() == pa.schema(
        {
            "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
            "index": pa.uint64(),
            "label": pa.int64(),
        }
    )
    groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
    assert [group.num_rows for group in groups] == [1000, 1000, 345]
    assert {group.column(i).compression for group in groups for i in range(4)} == {"UNCOMPRESSED"}
    assert file.read(["label"])["label"].to_pylist() == labels.tolist()


def test_webdataset_reads_shards_with_labels(
    tmp_path: Path, images: Images, labels: Images
) -> None:
    import webdataset

    write(tmp_path / "a.tar", images, 700, labels=labels, first=999_000)
    url = f"pipe:cat {tmp_path / 'a.tar'}"  # a file it would leave open
    found = webdataset.WebDataset(url, shardshuffle=False, empty_check=False)
    samples = list(found.decode("l8").to_tuple("__key__", "png", "cls"))
    assert [key for key, _, _ in samples] == [f"{i:06d}" for i in range(999_000, 999_000 + COUNT)]
    assert [label for _, _, label in samples] == labels.tolist()
    np.testing.assert_array_equal(np.stack([image for _, image, _ in samples]), images)


def test_webdataset_reads_shards_without_labels(tmp_path: Path, images: Images) -> None:
    import webdataset

    write(tmp_path / "a.tar", images[:5])
    url = f"pipe:cat {tmp_path / 'a.tar'}"
    found = webdataset.WebDataset(url, shardshuffle=False, empty_check=False).decode("l8")
    np.testing.assert_array_equal(np.stack([sample["png"] for sample in found]), images[:5])


def test_a_tar_file_is_byte_for_byte_what_tarfile_itself_writes(
    tmp_path: Path, images: Images, labels: Images
) -> None:
    first = 999_999_999_990  # names grow on the way
    write(tmp_path / "a.tar", images[:40], 7, labels=labels[:40], first=first)
    theirs = io.BytesIO()
    with (
        tarfile.open(tmp_path / "a.tar") as ours,
        tarfile.open(fileobj=theirs, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        members = ours.getmembers()
        for member in members:
            assert (member.mode, member.uid, member.gid, member.mtime) == (0o644, 0, 0, 0)
            info = tarfile.TarInfo(member.name)
            info.size = member.size
            archive.addfile(info, ours.extractfile(member))
        names = [f"{first + i:06d}.{kind}" for i in range(40) for kind in ("png", "cls")]
        assert [member.name for member in members] == names
    assert (tmp_path / "a.tar").read_bytes() == theirs.getvalue()


def test_the_program_tar_unpacks_it(tmp_path: Path, images: Images, labels: Images) -> None:
    write(tmp_path / "a.tar", images[:20], labels=labels[:20])
    subprocess.run(["tar", "xf", "a.tar"], cwd=tmp_path, check=True)
    for index in range(20):
        png = (tmp_path / f"{index:06d}.png").read_bytes()
        np.testing.assert_array_equal(parse_png(png), images[index])
        assert (tmp_path / f"{index:06d}.cls").read_text() == str(labels[index])


@pytest.mark.parametrize("with_labels", [False, True])
def test_torchvision_takes_the_folder_for_mnist(
    tmp_path: Path, images: Images, labels: Images, with_labels: bool
) -> None:
    from torchvision.datasets import MNIST

    marks = labels if with_labels else None
    write(tmp_path / "data", images, 700, labels=marks, format="mnist")
    expected = labels if with_labels else np.full(COUNT, 255)
    to_train = COUNT - COUNT // 7
    for train, part in ((True, slice(to_train)), (False, slice(to_train, None))):
        # Had it been incomplete, it would be downloaded, over our files.
        found = MNIST(tmp_path / "data", train=train, download=True)
        np.testing.assert_array_equal(found.data.numpy(), images[part])
        assert found.targets.tolist() == expected[part].tolist()
        picture, label = found[7]
        np.testing.assert_array_equal(np.asarray(picture), images[part][7])
        assert label == found.targets[7]
    told = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert told["labels"] is (True if with_labels else None)
    assert told.get("unlabelled") == (None if with_labels else 255)
    raw = tmp_path / "data" / "MNIST" / "raw"
    assert {f"MNIST/raw/{file.name}": file.stat().st_size for file in raw.iterdir()} == {
        file["name"]: file["bytes"] for file in told["files"]
    }


def test_numpy_reads_the_labels_of_a_zip_file(
    tmp_path: Path, images: Images, labels: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "digitvae.output.formats.arrays._LABELS_IN_MEMORY", 1000
    )  # the rest on the disk
    write(tmp_path / "a.npz", images, 700, labels=labels)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert found.files == ["images", "labels"]
        np.testing.assert_array_equal(found["images"], images)
        np.testing.assert_array_equal(found["labels"], labels)
        assert found["labels"].dtype == np.int32


@pytest.mark.parametrize("name", FORMATS)
def test_formats_without_labels_name_those_with(tmp_path: Path, name: str) -> None:
    if name in LABELLED:
        return
    with (
        pytest.raises(ValueError, match=f"{name} holds no labels; .*{', '.join(LABELLED)}"),
        open_sink(tmp_path / "out", count=1, format=name, labels=True),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "no labels for 3 images"),
        (array.array("i", [1, 2]), "2 labels for 3 images"),
        (array.array("i", [1, 2, 10]), "a label is 10"),
        (array.array("i", [1, -1, 3]), "a label is -1"),
        (array.array("b", [1, 2, 3]), "format 'b'"),
        (array.array("q", [1, 2, 3]), "format 'q'"),
        (np.zeros((3, 1), np.int32), "2 dimensions"),
        (np.zeros(6, np.int32)[::2], "C-contiguous"),
    ],
)
def test_wrong_labels_are_refused(tmp_path: Path, name: str, wrong: Any, message: str) -> None:
    marks = None if wrong is None else memoryview(wrong)

    def put() -> None:
        with open_sink(tmp_path / "out", count=3, format=name, labels=True) as sink:
            sink.write(memoryview(bytes(3 * 784)), marks)

    with pytest.raises(ValueError, match=message):
        put()
    assert not list(tmp_path.iterdir())


def test_labels_that_were_not_announced_are_refused(tmp_path: Path) -> None:
    marks = memoryview(array.array("i", [1]))
    with (
        pytest.raises(ValueError, match="labels=True"),
        open_sink(tmp_path / "a.tar", count=1) as sink,
    ):
        sink.write(memoryview(bytes(784)), marks)


@pytest.mark.parametrize("name", LABELLED)
def test_the_same_labels_give_the_same_bytes(
    tmp_path: Path, images: Images, labels: Images, name: str
) -> None:
    for folder, chunk in (("a", COUNT), ("b", 333)):
        write(tmp_path / folder, images, chunk, labels=labels, format=name)
    if (tmp_path / "a").is_file():
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        return
    for file in (tmp_path / "a").rglob("*"):
        if file.is_file():
            other = tmp_path / "b" / file.relative_to(tmp_path / "a")
            assert file.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("kind", "foreign"),
    [
        ("mnist", "notes.txt"),
        ("mnist", "MNIST/notes.txt"),
        ("mnist", "MNIST/raw/notes.txt"),
        ("mnist", "MNIST/raw/more/"),
        ("mnist", "000000.png"),
        ("folder", "MNIST/"),
        ("folder", "notes.txt"),
    ],
)
def test_force_never_deletes_what_a_data_set_does_not_hold(
    tmp_path: Path, kind: str, foreign: str
) -> None:
    write(tmp_path / "data", some_images(2), format=kind)
    path = tmp_path / "data" / foreign
    if foreign.endswith("/"):
        path.mkdir()
    else:
        path.write_text("precious")
    with pytest.raises(OutputError, match=f"holds '{foreign.rstrip('/')}'"):
        write(tmp_path / "data", some_images(3), format=kind, force=True)
    assert path.exists()


@pytest.mark.parametrize(
    "content", ["", "[]", '{"schema": "somebody-else/7"}', '{"name": "a web app"}']
)
def test_force_never_deletes_a_manifest_of_somebody_else(tmp_path: Path, content: str) -> None:
    write(tmp_path / "data", some_images(1))
    (tmp_path / "data" / "manifest.json").write_text(content)
    with pytest.raises(OutputError, match=r"holds 'manifest\.json'"):
        write(tmp_path / "data", some_images(2), force=True)
    assert (tmp_path / "data" / "manifest.json").read_text() == content


@pytest.mark.parametrize("kind", ["mnist", "folder"])
def test_force_never_deletes_what_only_has_the_names_of_ours(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "data", some_images(2), format=kind)
    (tmp_path / "data" / "manifest.json").unlink()
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="which digitvae did not write"):
        write(tmp_path / "data", some_images(2), format=kind, force=True)
    assert tree(tmp_path) == before


def test_force_replaces_data_sets(tmp_path: Path) -> None:
    for kind, test in (("mnist", 1), ("folder", 0)):
        write(tmp_path / kind, some_images(3), format=kind)
        write(tmp_path / kind, some_images(2), format=kind, force=True)
        told = json.loads((tmp_path / kind / "manifest.json").read_text())
        assert told["count"] == 2 - test


def test_an_unfinished_table_has_no_directory(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    with (
        pytest.raises(ValueError, match="2500 of 3000"),
        open_sink("-", count=3000, format="parquet") as sink,
    ):
        sink.write(memoryview(bytes(2500 * 784)))
    found = capsysbinary.readouterr().out
    assert found.startswith(b"PAR1")
    assert len(found) > 100_000
    assert not found.endswith(b"PAR1")


def test_gzip_agrees_that_idx_files_are_the_same(tmp_path: Path, images: Images) -> None:
    write(tmp_path / "a.idx", images)
    write(tmp_path / "a.idx.gz", images, 99)
    assert (
        gzip.decompress((tmp_path / "a.idx.gz").read_bytes()) == (tmp_path / "a.idx").read_bytes()
    )
