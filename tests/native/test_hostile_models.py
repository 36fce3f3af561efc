"""No hostile model is loaded, in any role, however it hides what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from digitvae import _native
from digitvae.base.errors import BundleError
from digitvae.engine.runtime import open_runtime
from tests.native import hostile_models

READERS: dict[str, Any] = {
    "decoder": _native.Decoder,
    "encoder": _native.Encoder,
    "prior": _native.Mixture,
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that no model may read."""
    path = tmp_path / "secret"
    path.write_bytes(b"swordfish " * 100)
    return path


@pytest.mark.parametrize("role", hostile_models.ROLES)
@pytest.mark.parametrize("name", hostile_models.MODELS)
def test_a_hostile_model_is_refused(name: str, role: str, secret: Path) -> None:
    model = hostile_models.MODELS[name](role, secret)
    with pytest.raises(BundleError) as refusal:
        READERS[role](open_runtime(), model)
    said = str(refusal.value)
    assert "swordfish" not in said
    assert not hostile_models.OF_THE_RUNTIME.match(
        said
    )  # which refuses some, but not in every version


@pytest.mark.parametrize("role", hostile_models.ROLES)
def test_the_model_that_they_are_made_of_is_not(role: str) -> None:
    READERS[role](open_runtime(), hostile_models.honest(role).SerializeToString())
