"""What verification demands of the engine beyond numbers: here, of another process."""

from __future__ import annotations

from pathlib import Path

import pytest

import digitvae as dv
from digitvae.parity.checks import properties

SAMPLES_ANOTHER_SEED = properties._ELSEWHERE.replace("seed=0", "seed=1")


@pytest.mark.parametrize(
    ("program", "status", "detail"),
    [
        (properties._ELSEWHERE, "passed", "0 of 1 differ"),
        (SAMPLES_ANOTHER_SEED, "failed", "1 of 1 differ"),
        ("raise SystemExit('no room')", "failed", "the other process failed: no room"),
        ("raise SystemExit(3)", "failed", "the other process failed: no message"),
    ],
)
def test_another_process_samples_the_same_or_is_told_on(
    program: str, status: str, detail: str, model: dv.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(properties, "_ELSEWHERE", program)
    with properties.Elsewhere(model) as elsewhere:
        check = elsewhere.check()
    assert (check.status, check.detail) == (status, detail)


def test_what_lies_in_the_current_folder_is_not_imported(
    model: dv.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("hashlib", "digitvae", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    with properties.Elsewhere(model) as elsewhere:
        check = elsewhere.check()
    assert (check.status, check.detail) == ("passed", "0 of 1 differ")


def test_the_other_process_does_not_outlive_its_context(
    model: dv.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(properties, "_ELSEWHERE", "import time; time.sleep(600)")
    with pytest.raises(KeyboardInterrupt), properties.Elsewhere(model) as elsewhere:
        raise KeyboardInterrupt
    assert elsewhere._process.returncode == -9


def test_a_process_that_does_not_end_is_a_failure(
    model: dv.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(properties, "_ELSEWHERE", "import time; time.sleep(600)")
    monkeypatch.setattr(properties, "_PATIENCE", 0.2)
    with properties.Elsewhere(model) as elsewhere:
        check = elsewhere.check()
    assert check.status == "failed"
    assert "timed out" in check.detail
