"""How the engine cuts its work, shown by decoders whose output is the plan itself."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import digitvae as dv
from digitvae import _native
from digitvae.engine.runtime import open_runtime
from tests.native import toy_models
from tests.support.processes import assert_ctrl_c_stops

TILE = _native.TILE_ROWS


def load(content: bytes) -> _native.Decoder:
    return _native.Decoder(open_runtime(), content)


def sample(decoder: _native.Decoder, first: int, count: int) -> npt.NDArray[np.float32]:
    out = np.full((count, 784), np.nan, np.float32)
    decoder.sample(out, seed=0, first=first, threads=2)
    return out


@pytest.mark.parametrize(("first", "count"), [(0, 1), (63, 2), (5, 300), (64, 64), (100, 1)])
def test_every_run_has_the_rows_of_one_tile(first: int, count: int) -> None:
    decoder = load(toy_models.decoder(toy_models.ROWS_IN_RUN))
    np.testing.assert_array_equal(sample(decoder, first, count), TILE / 1024)
    z, decoded = np.zeros((count, 40), np.float32), np.empty((count, 784), np.float32)
    decoder.decode(z, decoded, threads=2)
    np.testing.assert_array_equal(decoded, TILE / 1024)


@pytest.mark.parametrize(("first", "count"), [(0, 200), (1, 1), (65, 1), (63, 130), (2**64 - 3, 3)])
def test_an_image_has_its_own_row_in_the_tile_whatever_range_it_is_made_in(
    first: int, count: int
) -> None:
    found = sample(load(toy_models.decoder(toy_models.ROW_IN_TILE)), first, count)
    rows = np.array([(first + i) % TILE for i in range(count)], np.float32)
    np.testing.assert_array_equal(found, np.repeat(rows[:, None] / 1024, 784, axis=1))


def test_latents_that_saturate_the_sigmoid_decode_to_intensities_that_encode(
    model: dv.Model,
) -> None:
    z = model.latents(1, seed=1, first=4265) * np.float32(4)
    x = model.decode(z, dtype="float32")
    assert x.max() == 1.0
    assert np.isfinite(model.encode(x).mu).all()


def test_a_decoder_that_leaves_the_unit_interval_is_refused(model: dv.Model) -> None:
    no_sigmoid = load(toy_models.without_sigmoid(model.bundle.read("decoder.onnx")))
    for out in (np.empty((200, 784), np.float32), np.empty((3, 784), np.uint8)):
        with pytest.raises(dv.BundleError, match=r"the decoder computed -?[0-9.e-]+ for a pixel"):
            no_sigmoid.sample(out, seed=0, first=0, threads=1)
    identity = load(toy_models.decoder(toy_models.SUM_OF_LATENTS))
    z, x = np.zeros((70, 40), np.float32), np.empty((70, 784), np.float32)
    z[:, 0] = 1.0
    identity.decode(z, x, threads=1)
    np.testing.assert_array_equal(x, 1.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_what_a_sigmoid_s_rounding_leaves_the_unit_interval_by_is_taken_off(sign: int) -> None:
    """2⁻²³, above one (some logits near 18) and below zero (ONNX Runtime 1.20 to 1.22, aarch64)."""
    identity = load(toy_models.decoder(toy_models.SUM_OF_LATENTS))
    end = np.float32(1 if sign > 0 else 0)
    slightly = end + np.float32(sign * 2**-23)
    z = np.zeros((70, 40), np.float32)
    z[:, 0] = end
    z[69, 0] = slightly
    for rows in (z, z[69:]):  # in a whole tile and alone
        x, pixels = np.empty((len(rows), 784), np.float32), np.empty((len(rows), 784), np.uint8)
        identity.decode(rows, x, threads=1)
        np.testing.assert_array_equal(x, end)
        identity.decode(rows, pixels, threads=1)
        np.testing.assert_array_equal(pixels, 255 * end)
    for beyond in (np.nextafter(slightly, np.float32(sign * 2)), np.float32(sign * 2)):
        z[69, 0] = beyond
        for out in (x, pixels):
            with pytest.raises(dv.BundleError, match="expected 0 to 1"):
                identity.decode(z[69:], out, threads=1)
    x = np.empty((70, 784), np.float32)
    for wrong, said in ((1 + 2**-22, "1.0000002"), (-(2**-22), "-2.38419e-07")):
        z[69, 0] = wrong
        with pytest.raises(dv.BundleError, match=f"computed {said} for a pixel, expected 0 to 1"):
            identity.decode(z, x, threads=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"digitvae.schema": None}, "no metadata 'digitvae.schema'"),
        ({"digitvae.schema": "digitvae-bundle/2"}, "schema is 'digitvae-bundle/2'"),
        ({"digitvae.dataset": None}, "no metadata 'digitvae.dataset'"),
        ({"digitvae.latent_dim": None}, "no metadata 'digitvae.latent_dim'"),
        (
            {"digitvae.latent_dim": "39"},
            r"z float32 \[batch, 40\], expected z float32 \[batch, 39\]",
        ),
        ({"digitvae.height": "14"}, r"x float32 \[batch, 784\], expected x float32 \[batch, 392\]"),
        ({"digitvae.width": "0"}, "expected a number from 1 to 65536"),
        ({"digitvae.width": "65537"}, "expected a number from 1 to 65536"),
        ({"digitvae.width": "28 "}, "expected a number from 1 to 65536"),
        ({"digitvae.width": "0x1c"}, "expected a number from 1 to 65536"),
        ({"digitvae.width": "-28"}, "expected a number from 1 to 65536"),
    ],
)
def test_metadata_that_is_missing_or_wrong_is_refused(
    change: dict[str, str | None], message: str
) -> None:
    metadata = {
        key: value for key, value in {**toy_models.METADATA, **change}.items() if value is not None
    }
    with pytest.raises(dv.BundleError, match=message):
        load(toy_models.decoder(metadata=metadata))


def test_a_batch_that_is_not_dynamic_is_refused() -> None:
    with pytest.raises(
        dv.BundleError, match=r"z float32 \[64, 40\], expected z float32 \[batch, 40\]"
    ):
        load(toy_models.decoder(batch=64))


def test_weights_in_another_file_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights.bin").write_bytes(np.float32(1024).tobytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(dv.BundleError, match="keeps values outside of the file"):
        load(toy_models.decoder(external="weights.bin"))


def test_the_interpreter_goes_on_while_the_engine_works(model: dv.Model) -> None:
    images = np.empty((60_000, 28, 28), np.uint8)
    worker = threading.Thread(target=lambda: model.sample(len(images), threads=1, out=images))
    turns = 0
    worker.start()
    while worker.is_alive():
        turns += 1
        time.sleep(0.001)
    # With the GIL held, the loop would not turn before the work is done.
    assert turns > 10


@pytest.mark.parametrize("call", ["m.sample_into(b)", "m.latents(2_000_000)"])
def test_a_daemon_thread_does_not_disturb_the_end_of_the_program(call: str) -> None:
    script = (
        "import digitvae as dv, threading, time\n"
        "m = dv.load(); b = bytearray(784 * 300_000); m.latents(1)\n"
        f"def work():\n    while True: {call}\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.2)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize(
    "call",
    [
        "_native.fill_standard_normal(b, dim=40, seed=0, first=0, stream=0)",
        "_native.interpolate(z, z, b, dim=40, steps=2**23, spherical=False)",
    ],
)
def test_ctrl_c_stops_latents_and_paths_in_the_middle(call: str) -> None:
    # 1.3 GB that are only mapped when they are written: had the call not been cancelled, the end
    # would have been written too.
    script = (
        "from digitvae import _native\n"
        "import mmap, sys\n"
        "pages = mmap.mmap(-1, 4 * 40 * 2**23)\n"
        "b = memoryview(pages).cast('f')\n"
        "z = memoryview(bytearray(b'\\0\\0\\x80\\x3f' * 40)).cast('f')\n"
        "sys.stdout.write('go\\n'); sys.stdout.flush()\n"
        f"try:\n    {call}\n"
        "except KeyboardInterrupt:\n"
        "    assert b[0] != 0 and not any(b[-40:])\n"
        "    sys.stdout.write('stopped\\n')\n"
    )
    assert_ctrl_c_stops(script, after=0.05)
