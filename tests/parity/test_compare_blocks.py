"""Runtimes that do not compute, blocks at the same time, and the rows that are shown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from digitvae.base.threads import in_parallel
from digitvae.parity.compare.runtimes import Findings
from digitvae.parity.inputs.sets import InputSet, batches, on_all_rows
from digitvae.parity.networks import ENCODER, Float32, Function
from tests.support.stand_ins import ERROR, WIDTH, by_runtime, doubled, find, half, numbered, off_by


def wrong_width(rows: Float32) -> tuple[Float32, ...]:
    return (np.full((len(rows), WIDTH + 1), 0.5, np.float32),)


def wrong_type(rows: Float32) -> tuple[Float32, ...]:
    return (cast("Float32", np.full((len(rows), WIDTH), 0.5)),)


def one_row(rows: Float32) -> tuple[Float32, ...]:
    return (half(rows)[0][:1],)


def nothing(_rows: Float32) -> tuple[Float32, ...]:
    return ()


def too_much(rows: Float32) -> tuple[Float32, ...]:
    return half(rows) * 2


def raising(_rows: Float32) -> tuple[Float32, ...]:
    raise RuntimeError("out of order\nand more of it")


def raising_without_words(_rows: Float32) -> tuple[Float32, ...]:
    raise MemoryError


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (wrong_width, "it computes float32 [4, 4]; expected float32 [4, 3]"),
        (wrong_type, "it computes float64 [4, 3]; expected float32 [4, 3]"),
        (one_row, "it computes float32 [1, 3]; expected float32 [4, 3]"),
        (nothing, "it computes nothing; expected float32 [4, 3]"),
        (too_much, "it computes float32 [4, 3], float32 [4, 3]; expected float32 [4, 3]"),
        (raising, "out of order"),
        (raising_without_words, "MemoryError"),
    ],
)
def test_a_runtime_that_computes_nothing_comparable_fails_and_says_why(
    function: Function, words: str
) -> None:
    found = find({"eager": half, "other": function, "third": half}, numbered(10))
    other = by_runtime(found)["other"]
    assert (other.status, other.detail) == ("failed", f"row 0 and on: {words}")
    assert (other.deviations, other.same_bits_as) == (None, None)
    # It takes nobody with it.
    assert by_runtime(found)["third"].status == "passed"
    assert found.pairs == ()
    assert set(found.worst_rows) == {"eager", "third"}


def moody(rows: Float32) -> tuple[Float32, ...]:
    if rows[0, 0] == 4:
        raise RuntimeError("not today")
    return half(rows)


def test_a_runtime_that_fails_now_and_then_fails() -> None:
    functions = {"eager": half, "moody": moody, "third": half}
    found = find(functions, numbered(10), must_equal={"moody": "eager", "third": "moody"})
    assert by_runtime(found)["moody"].status == "failed"
    assert by_runtime(found)["moody"].detail == "row 4 and on: not today"
    assert by_runtime(found)["third"].status == "passed"
    assert found.pairs == ()


def test_a_runtime_that_fails_fails_in_every_output() -> None:
    functions = {"eager": doubled(half), "other": half}
    found = find(functions, numbered(4), network=ENCODER)
    assert [c.status for c in found.comparisons] == ["passed", "failed", "passed", "failed"]


def test_without_eager_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(RuntimeError, match=r"eager cannot compute .* compared with: not today"):
        find({"eager": moody, "other": half}, numbered(10))


def mixed() -> dict[str, Function]:
    return {
        "eager": off_by(1e-7, 3),
        "a": off_by(0.2 * ERROR, 17),
        "b": off_by(2 * ERROR, 22),
        "c": off_by(0.2 * ERROR, 17),
        "d": off_by(np.nan, 9),
        "moody": moody,
    }


def everything(found: Findings) -> tuple[object, ...]:
    rows = {name: row.tolist() for name, row in found.worst_rows.items()}
    cases = [
        (c.runtime, c.input, c.a.tolist(), str(c.b.tolist()))  # NaN is equal only to its words
        for c in found.worst_cases
    ]
    return found.comparisons, found.pairs, rows, cases


def test_findings_do_not_depend_on_how_many_blocks_are_compared_at_the_same_time() -> None:
    one, three = (
        find(mixed(), numbered(25), threads=threads, must_equal={"b": "a"}, shape=(1, 3))
        for threads in (1, 3)
    )
    assert everything(one) == everything(three)
    statuses = [c.status for c in one.comparisons]
    assert statuses == ["passed", "passed", "failed", "passed", "failed", "failed"]


def test_blocks_are_compared_at_the_same_time() -> None:
    # Each waits for another one: alone it would wait in vain.
    meeting = threading.Barrier(2, timeout=30)

    def waiting(rows: Float32) -> tuple[Float32, ...]:
        meeting.wait()
        return half(rows)

    found = find({"eager": waiting}, numbered(8), threads=2)
    assert found.comparisons[0].status == "passed"


@pytest.mark.parametrize("threads", [1, 3])
def test_whoever_waits_hears_of_every_block_once(threads: int) -> None:
    heard: list[str] = []
    find({"eager": half, "b": half}, numbered(22), threads=threads, on_block=heard.append)
    assert heard == ["decoder: numbers"] * 6


@pytest.mark.parametrize("threads", [1, 3])
def test_ctrl_c_in_a_runtime_is_no_failure_of_it(threads: int) -> None:
    def interrupted(rows: Float32) -> tuple[Float32, ...]:
        if rows[0, 0] == 8:
            raise KeyboardInterrupt
        return half(rows)

    with pytest.raises(KeyboardInterrupt):
        find({"eager": half, "other": interrupted}, numbered(40), threads=threads)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_work_is_done_in_order_and_not_far_ahead(threads: int) -> None:
    begun: list[int] = []

    def items() -> list[int]:
        return list(range(20))

    def work(item: int) -> int:
        begun.append(item)
        return item * item

    results = in_parallel(work, items(), threads)
    assert next(results) == 0
    assert len(begun) <= threads + 2
    assert list(results) == [i * i for i in range(1, 20)]
    assert sorted(begun) == items()


def test_all_rows_are_computed_in_blocks_and_put_together() -> None:
    sizes: list[int] = []

    def function(rows: Float32) -> tuple[Float32, ...]:
        sizes.append(len(rows))
        return rows * 2, rows[:, :1]

    rows = np.arange(2400, dtype=np.float32).reshape(1200, 2)
    twice, first = on_all_rows(function, rows, 2)
    assert np.array_equal(twice, rows * 2)
    assert np.array_equal(first, rows[:, :1])
    assert sorted(sizes) == [176, 512, 512]


def test_worst_rows_are_those_of_the_largest_share_of_the_noise_limit() -> None:
    found = find(mixed(), numbered(25))
    numbers = {name: row[0, 0] for name, row in found.worst_rows.items()}
    assert numbers == {"eager": 3, "a": 17, "b": 22, "c": 17, "d": 9, "moody": 0}
    assert all(row.shape == (1, 2) for row in found.worst_rows.values())


def test_images_are_shown_of_the_row_that_is_farthest_from_eager() -> None:
    functions = {"eager": half, "a": off_by(0.25, 6), "twin": off_by(0.25, 6), "b": off_by(1e-6, 9)}
    found = find(functions, numbered(10), shape=(3, 1))
    shown = {case.runtime: case for case in found.worst_cases}
    assert {name: case.input for name, case in shown.items()} == {"a": "row 6", "b": "row 9"}
    case = shown["a"]
    assert (case.network, case.inputs, case.reference) == ("decoder", "numbers", "eager")
    assert case.a.tolist() == [[0.5], [0.5], [0.5]]
    assert case.b.tolist() == [[0.5], [0.75], [0.5]]
    assert shown["b"].b[1, 0] == np.float32(0.5) + np.float32(1e-6)


def test_without_a_shape_there_are_no_images() -> None:
    assert find({"eager": half, "a": off_by(0.25, 6)}, numbered(10)).worst_cases == ()


def test_images_of_batches_are_shown_only_of_what_fails() -> None:
    rows = np.concatenate(numbered(10).blocks)
    functions = {"eager": half, "a": off_by(0.25, 6), "b": off_by(1e-6, 2)}
    found = find(functions, batches(rows, (1, 3, 7)), shape=(1, 3))
    assert [(c.runtime, c.input) for c in found.worst_cases] == [("a", "row 6 of batch 7")]
    assert by_runtime(found)["b"].status == "passed"


def test_an_image_that_cannot_be_computed_again_is_not_shown() -> None:
    calls = []

    def once(rows: Float32) -> tuple[Float32, ...]:
        calls.append(len(rows))
        if len(calls) > 3:
            raise RuntimeError("no more")
        return off_by(0.25, 6)(rows)

    functions: dict[str, Function] = {"eager": half, "a": once, "b": off_by(0.25, 7)}
    found = find(functions, numbered(10), shape=(1, 3))
    assert [case.runtime for case in found.worst_cases] == ["b"]
    assert by_runtime(found)["a"].detail.startswith("250 times the noise limit at row 6")


def test_rows_are_named_by_their_number_batch_or_name() -> None:
    rows = np.concatenate(numbered(3).blocks)
    named = InputSet("named", (rows[:2], rows[2:]), typical=True, names=("a", "b", "c"))
    bad: Callable[[int], Function] = lambda number: off_by(0.25, number)  # noqa: E731
    found = by_runtime(find({"eager": half, "other": bad(2)}, named))["other"]
    assert "at row 2 (c), output 1" in found.detail
    found = by_runtime(find({"eager": half, "other": bad(1)}, batches(rows, (1, 2, 3))))["other"]
    assert "at row 1 of batch 2, output 1" in found.detail
