"""What is made is written in order, on another thread, or not at all."""

from __future__ import annotations

import threading

import pytest

from digitvae.sinks.overlap import overlapped

BUFFERS = 3


def buffers(size: int) -> list[memoryview]:
    return [memoryview(bytearray(size)) for _ in range(BUFFERS)]


def test_everything_is_written_in_order_on_another_thread() -> None:
    written: list[bytes] = []
    threads = set()

    def write(part: memoryview) -> None:
        threads.add(threading.get_ident())
        written.append(bytes(part))

    with overlapped(write, buffers(4)) as overlap:
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

    with overlapped(write, buffers(1)) as overlap:
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
        with overlapped(write, buffers(1)) as overlap:
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
        with overlapped(write, buffers(1)) as overlap:
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
        with overlapped(write, buffers(1)) as overlap:
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
