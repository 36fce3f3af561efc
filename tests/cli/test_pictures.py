"""``interpolate`` and ``reconstruct``: what they show is what the library computes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import digitvae as dv
from digitvae.data.sets import Split
from tests.support.readers import READERS, cut_sheet, read_picture
from tests.support.running import Runner, assert_explained

Mnist = dict[str, "Split"]


@pytest.mark.parametrize("method", ["lerp", "slerp"])
@pytest.mark.parametrize("name", ["a.npy", "a.png", "a"])
def test_an_interpolation_is_the_library_s_between_the_means(
    run: Runner, model: dv.Model, mnist: Mnist, method: str, name: str
) -> None:
    words = ("--from-index", 30, "--to-index", 61, "--steps", 9, "--method", method)
    assert run("interpolate", *words, "-o", name).code == 0
    mu = model.encode(mnist["test"].images[[30, 61]]).mu
    expected = model.interpolate(mu[0], mu[1], 9, method="slerp" if method == "slerp" else "lerp")
    if name == "a.png":  # one row
        found = cut_sheet(read_picture(Path(name)), 9, 9, 2)
    else:
        found = READERS["out" + name[1:]](Path(name), 9)
    np.testing.assert_array_equal(found, expected)


def test_the_ends_of_an_interpolation_are_the_reconstructions(
    run: Runner, model: dv.Model, mnist: Mnist
) -> None:
    run("interpolate", "--from", 3, "--to", 8, "-o", "a.npy")
    told = json.loads(run("interpolate", "--from", 3, "--to", 8, "-o", "b.npy", "--json").out)
    ends = mnist["test"].images[[told["from"]["index"], told["to"]["index"]]]
    images = np.load("a.npy")
    assert images.shape == (16, 28, 28)
    np.testing.assert_array_equal(images[[0, -1]], model.decode(model.encode(ends).mu))
    np.testing.assert_array_equal(images, np.load("b.npy"))


@pytest.mark.parametrize("digit", [3, 8])
def test_pick_counts_the_test_images_of_a_digit(run: Runner, mnist: Mnist, digit: int) -> None:
    labels = mnist["test"].labels
    for pick in (0, 1, 7):
        words = ("--from", digit, "--to", digit, "--pick", pick, "-o", f"{pick}.npy", "--json")
        told = json.loads(run("interpolate", *words).out)
        assert told["from"] == told["to"]
        index = told["from"]["index"]
        assert labels[index] == digit
        assert (labels[:index] == digit).sum() == pick


def test_the_typical_image_of_a_digit_is_closest_to_the_average(
    run: Runner, model: dv.Model, mnist: Mnist
) -> None:
    told = json.loads(run("interpolate", "--from", 4, "--to-index", 0, "--json").out)
    mu = model.encode(mnist["test"].images).mu.astype(np.float64)
    centre = mu[mnist["test"].labels == 4].mean(axis=0)
    distance = np.linalg.norm(mu - centre, axis=1)
    distance[mnist["test"].labels != 4] = np.inf
    assert distance.argmin() == told["from"]["index"]


def test_the_default_strip_shows_a_3_that_becomes_an_8(
    run: Runner, model: dv.Model, mnist: Mnist
) -> None:
    assert run("interpolate", "--from", 3, "--to", 8).out.startswith(
        "strip.png: 16 images from 3 to 8 in "
    )
    images = cut_sheet(read_picture(Path("strip.png")), 16, 16, 2)
    # The nearest test image, as a judge that knows nothing of the model.
    test = mnist["test"].images.reshape(-1, 784).astype(np.float32)
    flat = images.reshape(16, 784).astype(np.float32)
    distance = (test**2).sum(axis=1) - 2 * flat @ test.T
    labels = mnist["test"].labels[distance.argmin(axis=1)]
    assert labels[:4].tolist() == [3] * 4
    assert labels[-4:].tolist() == [8] * 4


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--from", "3"], 2, "--to"),
        (["--to", "3"], 2, "--from"),
        (["--from", "3", "--from-index", "1", "--to", "8"], 2, "--from-index"),
        (["--from", "10", "--to", "8"], 2, "--from"),
        (["--from", "3", "--to", "8", "--pick", "5000"], 2, "--pick"),
        (["--from", "3", "--to-index", "10000"], 2, "--to-index"),
        (["--from", "3", "--to", "8", "--steps", "1"], 2, "--steps"),
        (["--from", "3", "--to", "8", "--method", "cubic"], 2, "cubic"),
        (["--from", "3", "--to", "8", "--steps", "100000"], 2, "contact sheet"),
        (["--from", "3", "--to", "8", "--data", "missing"], 1, "missing"),
        (["--from", "3", "--to", "8", "-o", "missing/a.png"], 1, "does not exist"),
    ],
)
def test_interpolations_that_cannot_be_made_are_explained(
    run: Runner, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    assert_explained(run("interpolate", *words), code, message)
    assert not list(tmp_path.iterdir())


def test_a_sheet_shows_each_test_image_above_its_reconstruction(
    run: Runner, model: dv.Model, mnist: Mnist
) -> None:
    assert run("reconstruct", "--count", 20, "--first", 5, "--columns", 8).code == 0
    images = mnist["test"].images[5:25]
    decoded = model.decode(model.encode(images).mu)
    cells = cut_sheet(read_picture(Path("pairs.png")), 48, 8, 2).reshape(3, 2, 8, 28, 28)
    black = np.zeros((4, 28, 28), np.uint8)
    np.testing.assert_array_equal(cells[:, 0].reshape(24, 28, 28), np.concatenate([images, black]))
    np.testing.assert_array_equal(cells[:, 1].reshape(24, 28, 28), np.concatenate([decoded, black]))


def test_a_large_sheet_keeps_its_rows_of_pairs(run: Runner, model: dv.Model, mnist: Mnist) -> None:
    words = ("--count", 9000, "--columns", 90, "--scale", 1)  # more than a chunk
    assert run("reconstruct", *words).code == 0
    images = mnist["test"].images[:9000]
    decoded = model.decode(model.encode(images).mu)
    cells = cut_sheet(read_picture(Path("pairs.png")), 18_000, 90, 1).reshape(100, 2, 90, 28, 28)
    np.testing.assert_array_equal(cells[:, 0].reshape(9000, 28, 28), images)
    np.testing.assert_array_equal(cells[:, 1].reshape(9000, 28, 28), decoded)


def test_other_outputs_get_the_reconstructions_alone(
    run: Runner, model: dv.Model, mnist: Mnist
) -> None:
    result = run("reconstruct", "--count", 9000, "-o", "a.npy", "--json")  # more than a chunk
    images = mnist["test"].images[:9000]
    decoded = model.decode(model.encode(images).mu)
    np.testing.assert_array_equal(np.load("a.npy"), decoded)
    error = np.mean((images / 255.0 - decoded / 255.0) ** 2)
    assert json.loads(result.out)["mean_squared_error"] == pytest.approx(error, rel=1e-9)
    assert error < 0.02


def test_a_seed_takes_different_images_at_random(run: Runner, mnist: Mnist) -> None:
    columns = ("--count", 50, "--columns", 50, "--scale", 1)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run("reconstruct", *columns, "--seed", seed, "-o", f"{name}.png").code == 0
    a, b, c = (cut_sheet(read_picture(Path(f"{n}.png")), 100, 50, 1)[:50] for n in "abc")
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    known = {image.tobytes() for image in mnist["test"].images}
    assert len({image.tobytes() for image in a}) == 50
    assert {image.tobytes() for image in a} <= known


def test_images_of_one_s_own_are_reconstructed(run: Runner, model: dv.Model, mnist: Mnist) -> None:
    images = mnist["test"].images[:20]
    np.save("uint8.npy", images)
    np.save("float32.npy", images.astype(np.float32) / 255)
    expected = model.decode(model.encode(images).mu)
    for name in ("uint8", "float32"):
        assert run("reconstruct", f"{name}.npy", "-o", f"{name}.png").code == 0
        cells = cut_sheet(read_picture(Path(f"{name}.png")), 64, 16, 2).reshape(2, 2, 16, 28, 28)
        np.testing.assert_array_equal(cells[:, 0].reshape(32, 28, 28)[:20], images)
        np.testing.assert_array_equal(cells[:, 1].reshape(32, 28, 28)[:20], expected)
    result = run("reconstruct", "uint8.npy", "--first", 15, "-o", "a.npy")
    assert re.match(r"a\.npy: 5 reconstructions, mean squared error 0\.0\d+, in ", result.out)
    np.testing.assert_array_equal(np.load("a.npy"), expected[15:])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--count", "10001"], 2, "10,000 images"),
        (["--first", "10000"], 2, "10,000 images"),
        (["--count", "0"], 2, "--count"),
        (["--seed", "1", "--first", "1"], 2, "--seed"),
        (["--count", "10000", "--scale", "3"], 2, "contact sheet"),
        (["missing.npy"], 1, "missing.npy"),
        (["--data", "missing"], 1, "missing"),
    ],
)
def test_reconstructions_that_cannot_be_made_are_explained(
    run: Runner, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    assert_explained(run("reconstruct", *words), code, message)
    assert not list(tmp_path.iterdir())


def test_pictures_are_white_on_black(run: Runner) -> None:
    run("generate", 100, "-o", "a.png")
    run("reconstruct", "-o", "b.png")
    for name in ("a.png", "b.png"):
        with Image.open(name) as picture:
            pixels = np.asarray(picture)
        assert np.median(pixels) == 0
        assert pixels.max() > 240
