"""Remake the outputs of the notebook that are committed with it: ``python -m tools.notebook``.

It trains what ``runs/notebook`` lacks of the three runs of 30 epochs.
"""

from __future__ import annotations

import importlib
import os
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "vae_mnist.ipynb"

Notebook = Any


@contextmanager
def jupyter() -> Iterator[Any]:
    """The module ``nbformat``, and peace from what Jupyter's packages warn about one another."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, RuntimeWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
        yield importlib.import_module("nbformat")  # only half of it has types


def read_notebook() -> Notebook:
    """The notebook as it is committed."""
    with jupyter() as nbformat:
        return nbformat.read(NOTEBOOK, as_version=4)


def execute(notebook: Notebook, environment: Mapping[str, str]) -> None:
    """Run every cell in a fresh kernel, as from the notebook's own folder; fill in the outputs."""
    with jupyter():
        from nbclient import NotebookClient

        client = NotebookClient(
            notebook,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(NOTEBOOK.parent)}},
        )
        client.execute(env={**os.environ, **environment})


def main() -> None:
    """Execute the notebook as a reader would and replace its outputs."""
    notebook = read_notebook()
    execute(notebook, {})
    # What the kernel says about itself changes with the machine.
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    with jupyter() as nbformat:
        nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
