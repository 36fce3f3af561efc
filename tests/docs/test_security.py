"""SECURITY.md lists the operators that the reader of ONNX files allows, and no others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest
from onnx import helper

from digitvae._native import check_model
from digitvae.base.errors import BundleError

if TYPE_CHECKING:
    from digitvae._native import Role

PAGE = Path(__file__).parents[2] / "SECURITY.md"
OPERATORS = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}


def may_use(role: Role, operator: str) -> bool:
    graph = helper.make_graph([helper.make_node(operator, ["a"], ["b"])], "g", [], [])
    try:
        check_model(helper.make_model(graph).SerializeToString(), role)
    except BundleError:
        return False
    return True


@pytest.mark.parametrize(("role", "other"), [("network", 2), ("mixture", 1)])
def test_the_page_lists_the_operators_of_each_role(role: Role, other: int) -> None:
    _, _, section = PAGE.read_text(encoding="utf-8").partition("### What an ONNX file may hold")
    lists = re.findall(r"^(?:Networks|The mixture) .*:\n\n((?:`\w+`.*\n)+)", section, re.MULTILINE)
    assert len(lists) == 3
    listed = {
        name
        for number, text in enumerate(lists)
        if number != other
        for name in re.findall(r"`(\w+)`", text)
    }
    assert {name for name in OPERATORS if may_use(role, name)} == listed & OPERATORS
    assert listed <= OPERATORS | {"RMSNormalization", "Swish"}  # of later versions than some
