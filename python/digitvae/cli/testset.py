"""The test images that belong to a model."""

from __future__ import annotations

from pathlib import Path

from digitvae.cli.say import tell
from digitvae.data.sets import Split
from digitvae.engine.model import Model


def load_test_set(model: Model, folder: Path | None) -> Split:
    """The test split of the data set that a model was trained on.

    Args:
        model: Its bundle's manifest names the data set.
        folder: Where the files are; ``None`` for the cache, which is filled if need be.

    Raises:
        DataError: A file is missing or wrong, and cannot be fetched.
    """
    from digitvae.data.sets import load

    name = model.bundle.manifest.get("dataset", "mnist")
    return load(name, folder, ("test",), say=tell)["test"]
