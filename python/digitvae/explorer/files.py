"""Which addresses there are, and which file each of them is.

Nothing else can be asked for: an address is looked up, never turned into a path.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from digitvae.bundle import MANIFEST
from digitvae.errors import ExplorerError

if TYPE_CHECKING:
    from digitvae.bundle import Bundle

PAGE = Path(__file__).parent / "page"
"""Where `make web` puts the page, from where it goes into wheels."""

_INDEX = "index.html"


def page_files(page: Path = PAGE) -> dict[str, Path]:
    """Every file of the built page by its address.

    Args:
        page: The folder of the page.

    Raises:
        ExplorerError: The page has not been built.
    """
    if not (page / _INDEX).is_file():
        raise ExplorerError(
            f"the explorer's page is not part of this installation: there is no {page / _INDEX}. "
            "In a checkout of digitvae, `make web` builds it (which takes Node.js ≥ 20.19); then "
            "install again"
        )
    files = {
        "/" + path.relative_to(page).as_posix(): path
        for path in sorted(page.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
    return {"/": page / _INDEX, **files}


def bundle_files(bundle: Bundle) -> dict[str, Path]:
    """A bundle's manifest, and the files that it lists, by their addresses below ``/bundle/``."""
    return {f"/bundle/{name}": bundle.path / name for name in (MANIFEST, *bundle.file_names)}
