"""``digitvae.generation.ray.dataset``: the engine's digits as a ``ray.data.Dataset``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import digitvae as dv
import digitvae.generation.ray

pytestmark = [
    pytest.mark.usefixtures("connected"),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]


def columns(data: Any) -> dict[str, Any]:
    """All rows, in the order of their indices."""
    batches = list(data.iter_batches(batch_size=64, batch_format="numpy"))
    found = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    order = np.argsort(found["index"])
    return {name: values[order] for name, values in found.items()}


@pytest.mark.parametrize("block_size", [7, 100, 1000])
def test_rows_are_the_engine_s_digits(model: dv.Model, block_size: int) -> None:
    found = columns(digitvae.generation.ray.dataset(300, seed=5, first=17, block_size=block_size))
    assert set(found) == {"image", "index"}
    assert found["image"].dtype == np.uint8
    np.testing.assert_array_equal(found["image"], model.sample(300, seed=5, first=17))
    np.testing.assert_array_equal(found["index"], np.arange(17, 317, dtype=np.uint64))
    assert found["index"].dtype == np.uint64


def test_a_mixture_has_labels(model: dv.Model) -> None:
    data = digitvae.generation.ray.dataset(120, digit=range(10), truncation=0.8, block_size=50)
    found = columns(data)
    images, labels = model.sample(120, digit=range(10), truncation=0.8, return_labels=True)
    np.testing.assert_array_equal(found["image"], images)
    np.testing.assert_array_equal(found["label"], labels)
    assert found["label"].dtype == np.int64
    found = columns(digitvae.generation.ray.dataset(40, prior="mixture"))
    np.testing.assert_array_equal(
        found["label"], model.sample(40, prior="mixture", return_labels=True)[1]
    )


def test_float32_is_the_engine_s_to_the_bit(model: dv.Model) -> None:
    found = columns(digitvae.generation.ray.dataset(30, dtype="float32"))
    expected = model.sample(30, dtype="float32")
    np.testing.assert_array_equal(found["image"].view(np.uint32), expected.view(np.uint32))


def test_the_last_index_is_exact(model: dv.Model) -> None:
    first = 2**64 - 5
    found = columns(digitvae.generation.ray.dataset(5, first=first, block_size=2))
    assert found["index"].tolist() == [first + i for i in range(5)]
    np.testing.assert_array_equal(found["image"], model.sample(5, first=first))


def test_another_bundle_goes_along(labelled_bundle: Path, labelled: dv.Model) -> None:
    found = columns(digitvae.generation.ray.dataset(20, digit=3, bundle=labelled_bundle))
    np.testing.assert_array_equal(found["image"], labelled.sample(20, digit=3))


def test_rows_that_were_taken_out_do_not_change_the_others(model: dv.Model) -> None:
    from digitvae.engine.sampling import LatentSource
    from digitvae.generation.ray.workers import DataWork, recipe_of, sample

    work = DataWork(recipe_of(model, same_bits=True), LatentSource(seed=3), 10, "uint8")
    rows = np.array([0, 1, 5, 6, 7, 2, 30])
    found = sample({"id": rows}, work)
    expected = np.stack([model.sample(1, seed=3, first=10 + int(row))[0] for row in rows])
    np.testing.assert_array_equal(found["image"], expected)
    assert found["index"].tolist() == [10 + int(row) for row in rows]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n": 0}, ValueError, "n is 0"),
        ({"n": 10, "seed": -1}, ValueError, "seed is -1"),
        ({"n": 10, "block_size": 0}, ValueError, "block_size is 0"),
        ({"n": 10, "digit": 10}, ValueError, "digit is 10"),
        ({"n": 10, "truncation": 2}, ValueError, "truncation is 2"),
        ({"n": 10, "dtype": "int8"}, ValueError, "dtype is 'int8'"),
        ({"n": 10, "prior": "uniform"}, ValueError, "prior is 'uniform'"),
        ({"n": 10, "bundle": "nowhere"}, dv.BundleError, "nowhere"),
    ],
)
def test_wrong_arguments_are_told_at_once(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        digitvae.generation.ray.dataset(**arguments)


def test_without_labels_there_is_no_mixture(unlabelled_bundle: Path) -> None:
    with pytest.raises(dv.BundleError, match=r"prior\.onnx"):
        digitvae.generation.ray.dataset(10, digit=3, bundle=unlabelled_bundle)


def test_importing_the_module_imports_neither_ray_nor_torch() -> None:
    code = (
        "import sys, digitvae.generation.ray; print({'ray', 'torch', 'pyarrow'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_making_digits_imports_no_torch(model: dv.Model) -> None:
    found = digitvae.generation.ray.dataset(10).map(has_torch).take_all()
    assert [row["torch"] for row in found] == [False] * 10


def has_torch(_row: dict[str, Any]) -> dict[str, Any]:
    return {"torch": "torch" in sys.modules}
