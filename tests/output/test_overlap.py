"""What is made is written in order, on another thread, or not at all."""

from __future__ import annotations

import threading

import pytest

from digitvae.base.threads import in_parallel
from digitvae.output.overlap import Overlap
from digitvae.output.png import PngEncoder

BUFFERS = 3


def buffers(size: int) -> list[memoryview]:
    return [memoryview(bytearray(size)) for _ in range(BUFFERS)]


def test_everything_is_written_in_order_on_another_thread() -> None:
    written: list[bytes] = []
    threads = set()

    def write(part: memoryview) -> None:
        threads.add(threading.get_ident())
        written.append(bytes(part))

    with Overlap(write, buffers(4)) as overlap:
        for i in range(100):
            buffer = overlap.take()
            used = 4 if i % 2 else 1
            buffer[:used] = bytes([i]) * used
            overlap.give(buffer, used)
    assert written == [bytes([i]) * (4 if i % 2 else 1) for i in range(100)]
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_making_goes_on_while_writing_waits_until_every_buffer_is_full() -> None:
    go_on = threading.Event()
    written = []

    def write(part: memoryview) -> None:
        assert go_on.wait(10)
        written.append(bytes(part))

    with Overlap(write, buffers(1)) as overlap:
        for i in range(BUFFERS):
            buffer = overlap.take()
            buffer[0] = i
            overlap.give(buffer, 1)
        assert written == []
        go_on.set()
    assert written == [bytes([i]) for i in range(BUFFERS)]


def test_a_failure_to_write_reaches_the_maker_and_ends_the_writing() -> None:
    calls = []

    def write(part: memoryview) -> None:
        calls.append(bytes(part))
        if part[0] == 1:
            raise OSError(28, "No space left on device")

    def make() -> None:
        with Overlap(write, buffers(1)) as overlap:
            for i in range(100):
                buffer = overlap.take()
                buffer[0] = i
                overlap.give(buffer, 1)

    with pytest.raises(OSError, match="No space left"):
        make()
    assert calls == [b"\0", b"\1"]


def test_a_failure_in_the_last_write_is_raised_at_the_end_of_the_block() -> None:
    def write(part: memoryview) -> None:
        raise ValueError("last")

    def make() -> None:
        with Overlap(write, buffers(1)) as overlap:
            overlap.give(overlap.take(), 1)

    with pytest.raises(ValueError, match="last"):
        make()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_exception_in_the_block_drops_what_is_not_being_written(
    error: type[BaseException],
) -> None:
    began, go_on = threading.Event(), threading.Event()
    written = []

    def write(part: memoryview) -> None:
        began.set()
        assert go_on.wait(10)
        written.append(part[0])

    def make() -> None:
        with Overlap(write, buffers(1)) as overlap:
            for i in range(BUFFERS):
                buffer = overlap.take()
                buffer[0] = i
                overlap.give(buffer, 1)
            assert began.wait(10)
            threading.Timer(0.05, go_on.set).start()
            raise error

    before = threading.active_count()
    with pytest.raises(error):
        make()
    assert written == [0]
    assert not [thread for thread in threading.enumerate() if thread.name == "write digits"]
    assert threading.active_count() <= before + 1  # the timer


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the limit of processes is reached."""
    monkeypatch.setattr(threading.Thread, "start", refuse_to_start)


def refuse_to_start(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.usefixtures("no_threads")
def test_where_no_thread_can_be_started_everything_is_written_in_order_all_the_same() -> None:
    written: list[bytes] = []
    with Overlap(lambda part: written.append(bytes(part)), buffers(1)) as overlap:
        for i in range(100):
            buffer = overlap.take()
            buffer[0] = i
            overlap.give(buffer, 1)
    assert written == [bytes([i]) for i in range(100)]


@pytest.mark.usefixtures("no_threads")
def test_where_no_thread_can_be_started_failures_are_told_all_the_same() -> None:
    written: list[bytes] = []

    def write(part: memoryview) -> None:
        written.append(bytes(part))
        raise OSError("full")

    def give_three() -> None:
        with Overlap(write, buffers(1)) as overlap:
            for _ in range(3):
                overlap.give(overlap.take(), 1)

    with pytest.raises(OSError, match="full"):
        give_three()
    assert len(written) == 1


@pytest.mark.parametrize("most", [0, 1, 2])
def test_work_is_done_on_as_many_threads_as_can_be_started(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    started = 0
    start = threading.Thread.start

    def start_some(thread: threading.Thread) -> None:
        nonlocal started
        if started == most:
            refuse_to_start(thread)
        started += 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    here = threading.get_ident()
    found = list(in_parallel(lambda i: (i, threading.get_ident()), range(100), 4))
    assert [i for i, _ in found] == [*range(100)]
    assert here in {thread for _, thread in found}
    png = PngEncoder(28, 28, 5000, threads=4)
    images = memoryview(bytes(range(256)) * 49 * 300)
    pictures = [one for some in png.encode(images) for one in some]
    png.close()
    expected = [png.encode_one(bytes(images[i : i + 784])) for i in range(0, len(images), 784)]
    assert pictures == expected
