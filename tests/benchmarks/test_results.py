"""Results as JSON, as tables and as a picture."""

from __future__ import annotations

import io
import json

import pytest
from benchmarks.generation.results import Results, Series
from benchmarks.generation.tables import tables

from digitvae.base.tables import Table


def test_json_gives_the_same_results_and_the_same_tables(results: Results) -> None:
    text = results.to_json()
    assert json.loads(text)["schema"] == "digitvae-bench/1"
    again = Results.from_json(text)
    assert again == results
    assert tables(again) == tables(results)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "not JSON"),
        ("[]", "schema is None"),
        ('{"schema": "digitvae-bench/99"}', "'digitvae-bench/99', expected 'digitvae-bench/1'"),
        ('{"schema": "digitvae-bench/1"}', "not of schema"),
        ('{"schema": "digitvae-bench/1", "outcomes": [{"who": 1}]}', "not of schema"),
    ],
)
def test_json_of_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Results.from_json(text)


def test_the_spread_is_the_interquartile_range_beside_the_median() -> None:
    assert Series("ours", 1, 1, [1.0, 2.0, 3.0, 4.0, 5.0]).spread == pytest.approx(2 / 3)
    assert Series("ours", 1, 1, [3.0]).spread == 0


def rows(results: Results, title: str) -> list[tuple[str, ...]]:
    (found,) = (table for table in tables(results) if title in table.title)
    return list(found.rows)


def test_limits_are_the_highest_multiply_add_rate_and_the_median_of_writing(
    results: Results,
) -> None:
    assert rows(results, "Limits") == [
        ("multiply-adds, 1 thread", "1 GFLOP/s", "1,000,000"),
        ("multiply-adds, 2 threads", "2 GFLOP/s", "2,000,000"),
        ("write into the page cache", "784 MB/s", "1,000,000"),
        ("write onto the disk", "78 MB/s", "100,000"),
    ]


def test_the_share_of_the_limit_is_that_of_the_best_size(results: Results) -> None:
    assert rows(results, "Share") == [
        ("digitvae", "1", "100", "800,000", "0.80", "1.00", "1.00×"),
        ("digitvae", "2", "100", "1,600,000", "0.80", "0.80", "2.00×"),
        ("torch eager", "1", "1", "1,000,000", "1.00", "1.00", "1.00×"),
        ("torch eager", "2", "100", "400,000", "0.20", "0.20", "0.40×"),
    ]


def test_warm_rates_stand_beside_the_best_of_the_others(results: Results) -> None:
    assert rows(results, "memory, 1 thread") == [
        ("1", "500,000", "1,000,000", "0.50×"),
        ("100", "800,000", "400,000", "2.00×"),
    ]
    assert rows(results, "memory, 2 threads") == [("100", "1,600,000", "400,000", "4.00×")]


def test_latency_has_a_median_and_a_tail(results: Results) -> None:
    assert rows(results, "One digit") == [
        ("digitvae", "20", "30", "1.0×"),
        ("torch eager", "80", "80", "4.0×"),
    ]


def test_whole_processes_stand_beside_ours(results: Results) -> None:
    assert rows(results, "Whole process") == [("10,000", "0.100 s", "1.50 s (15.0×)")]


def test_who_took_part_is_told_with_what_and_who_did_not_with_the_remedy(results: Results) -> None:
    assert rows(results, "Contenders") == [
        ("digitvae", "right within 1.0e-07", "digitvae 1.0"),
        ("torch eager", "measured", "1 thread: batches of 64"),
        ("JAX", "not installed: pip install jax", ""),
    ]


def test_what_was_not_measured_has_no_table(results: Results) -> None:
    results.warm, results.latency, results.process, results.limits = [], [], [], []
    assert [table.title for table in tables(results)] == ["Contenders"]
    results.warm = [Series("torch", 1, 2, [1e-6])]  # without ours, one thread, or a limit
    assert rows(results, "memory, 2 threads") == [("1", "1,000,000", "")]


def test_a_busy_machine_is_told(results: Results) -> None:
    results.process = [Series("ours", 1, 1, [1.0, 1.01, 1.02])]
    assert "busy" not in tables(results)[-2].note
    results.process = [Series("ours", 1, 1, [1.0, 2.0, 3.0])]
    assert "Something else was busy" in tables(results)[-2].note


def test_a_table_is_markdown() -> None:
    table = Table("Title", ("name", "number"), (("a", "1"),), note="Note.")
    assert table.markdown() == ("**Title**\n\n| name | number |\n|---|---:|\n| a | 1 |\n\nNote.\n")


def test_the_plot_is_a_png(results: Results) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.generation.plot import plot

    file = io.BytesIO()
    plot(results, file)
    assert file.getvalue().startswith(b"\x89PNG")
    results.warm = []
    plot(results, io.BytesIO())
    results.process = []
    with pytest.raises(ValueError, match="nothing to plot"):
        plot(results, io.BytesIO())
