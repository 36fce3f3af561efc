"""The table of ``make mutants`` fits the code that it breaks."""

from __future__ import annotations

import pytest
from tools.mutants import MUTANTS, Mutant

from tests.support.packages import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_one_place_that_is_there(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text("utf-8").count(mutant.old) == 1
    assert mutant.new != mutant.old
