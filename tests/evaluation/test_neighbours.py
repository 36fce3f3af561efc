"""Nearest training images, against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from digitvae.evaluation.measures.neighbours import describe_distances, nearest


def random_images(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 28, 28), np.uint8)


def test_neighbours_and_distances_are_those_of_brute_force() -> None:
    images, reference = random_images(530, 1), random_images(300, 2)  # two blocks of images
    reference[77] = images[520]
    found = nearest(images, reference)
    wide = reference.astype(float) / 255
    for i, image in enumerate(images):
        distances = np.sqrt(np.square(image / 255 - wide).sum(axis=(1, 2)))
        assert found.place[i] == distances.argmin()
        assert found.distance[i] == pytest.approx(distances.min(), rel=1e-12)
    assert (found.place[520], found.distance[520]) == (77, 0)


def test_the_length_of_a_reference_image_does_not_attract() -> None:
    dark, bright = np.zeros((1, 28, 28), np.uint8), np.full((1, 28, 28), 255, np.uint8)
    image = np.full((1, 28, 28), 100, np.uint8)
    found = nearest(image, np.concatenate([bright, dark]))
    assert found.place[0] == 1
    assert found.distance[0] == pytest.approx(28 * 100 / 255)


def test_no_reference_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="no reference"):
        nearest(random_images(1, 0), random_images(0, 0))


def test_copies_are_noticed() -> None:
    of_test = np.arange(1.0, 102.0)  # its 1 % quantile is 2
    samples = np.array([0.0, 0.0, 1.9, 2.1, 50.0])
    found = describe_distances(samples, of_test)
    assert found.images == 5
    assert found.copies == 2
    assert found.close == 3 / 5
    assert found.median == 1.9
    assert found.low == pytest.approx(0.0)
    itself = describe_distances(of_test, of_test)
    assert itself.low == 2
    assert itself.close == pytest.approx(1 / 101)
