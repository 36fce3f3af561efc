"""Every measure of the list: the report, its tables and documentation have it, and it counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from digitvae.evaluation.measure import Measure
from digitvae.evaluation.measures import MEASURES, SIZES
from digitvae.evaluation.report import EvaluationReport
from digitvae.evaluation.views.tables import tables

DOCS = Path(__file__).parents[2] / "docs" / "evaluation.md"


def test_keys_are_names_of_their_own() -> None:
    assert len({measure.key for measure in MEASURES}) == len(MEASURES)
    assert len({size.key for size in SIZES}) == len(SIZES)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.key)
def test_a_measure_has_its_part_its_tables_and_its_documentation(
    measure: Measure, report: EvaluationReport
) -> None:
    content = report.to_dict()
    assert json.loads(json.dumps(content))[measure.key] == content[measure.key]
    assert content["settings"].keys() == {"seed", *(size.key for size in SIZES)}
    docs = DOCS.read_text()
    assert f"`{measure.key}`" in docs
    shown = {table.title: table for table in tables([report])}
    for table in measure.tables(report):
        assert table.header == shown[table.title].header
        assert {*table.rows} <= {*shown[table.title].rows}
        assert all(len(row) == len(table.header) for row in table.rows)
        assert (
            table.markdown().splitlines()[:4]
            == docs[docs.index(f"**{table.title}**") :].split("\n", 4)[:4]
        )


def test_a_part_that_no_measure_has_is_no_attribute(report: EvaluationReport) -> None:
    with pytest.raises(AttributeError, match="no 'beauty'"):
        _ = report.beauty
