"""Single images become PNG files that every reader agrees on, on however many threads."""

from __future__ import annotations

import io
import threading
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from digitvae.output.png import PngEncoder
from tests.support.readers import Images, parse_png


def random_images(count: int, height: int = 28, width: int = 28) -> Images:
    return np.random.default_rng(count).integers(0, 256, (count, height, width), np.uint8)


def encode(images: Images, count: int | None = None, threads: int | None = None) -> list[bytes]:
    count_, height, width = images.shape
    encoder = PngEncoder(height, width, count_ if count is None else count, threads)
    try:
        return list(chain.from_iterable(encoder.encode(memoryview(images).cast("B"))))
    finally:
        encoder.close()


@given(height=st.integers(1, 70), width=st.integers(1, 70), grey=st.integers(0, 255))
def test_pillow_reads_the_pixels_back_whatever_the_size(height: int, width: int, grey: int) -> None:
    images = random_images(2, height, width)
    images[1] = grey
    for image, png in zip(images, encode(images), strict=True):
        np.testing.assert_array_equal(parse_png(png), image)


def test_a_png_is_no_larger_than_pillow_makes_it_at_the_same_level(
    mnist: dict[str, object],
) -> None:
    images = mnist["test"].images[:500]  # type: ignore[attr-defined]
    theirs = 0
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG", compress_level=1)
        theirs += file.tell()
    assert sum(map(len, encode(images))) <= theirs


@pytest.mark.parametrize("count", [1, 999, 1000, 1001, 4567, 12_000])
def test_the_bytes_and_their_order_do_not_depend_on_the_threads(count: int) -> None:
    images = random_images(count, 4, 4)
    alone = encode(images, threads=1)
    assert len(alone) == count
    assert encode(images, threads=2) == alone
    assert encode(images, threads=7) == alone
    assert encode(images, count=10**6) == alone


def test_few_images_take_no_thread_and_many_no_more_than_asked() -> None:
    before = threading.active_count()
    encoder = PngEncoder(4, 4, 1000)
    list(encoder.encode(memoryview(bytes(16 * 1000))))
    assert threading.active_count() == before
    encoder = PngEncoder(4, 4, 10**6, threads=2)
    pieces = encoder.encode(memoryview(bytes(16 * 20_000)))
    next(pieces)
    assert threading.active_count() <= before + 2
    encoder.close()
    assert threading.active_count() == before


def test_only_a_few_pictures_wait_to_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = PngEncoder(4, 4, 10**6, threads=2)
    encoded = []
    original = PngEncoder._encode_piece

    def count(self: PngEncoder, images: memoryview) -> list[bytes]:
        encoded.append(len(images))
        return original(self, images)

    monkeypatch.setattr(PngEncoder, "_encode_piece", count)
    pieces = encoder.encode(memoryview(bytes(16 * 100_000)))
    next(pieces)
    encoder.close()
    assert len(encoded) <= 6


def test_a_failure_on_a_thread_is_the_caller_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: PngEncoder, pixels: bytes) -> bytes:
        raise MemoryError("no room")

    monkeypatch.setattr(PngEncoder, "encode_one", fail)
    with pytest.raises(MemoryError, match="no room"):
        encode(random_images(3000, 4, 4), threads=2)
