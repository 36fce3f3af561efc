"""The addresses of the explorer, and the content of each.

Nothing else can be asked for: an address is looked up, never turned into a path. All is read once,
before anything is served: what becomes of the files later changes no answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from digitvae.base.errors import ExplorerError
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import MANIFEST

PAGE = Path(__file__).parent / "page"
"""`make web` puts the page there, from where it goes into wheels."""

_INDEX = "index.html"
_JSON = "application/json"
_OTHER = "application/octet-stream"
_PAGE_TYPES = {  # not those of the machine's registry, which may know others
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": _JSON,
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}


class Served(NamedTuple):
    """The content of an address, and its media type."""

    kind: str
    content: bytes


def page_files(page: Path = PAGE) -> dict[str, Served]:
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
        f"/{path.relative_to(page).as_posix()}": Served(
            _PAGE_TYPES.get(path.suffix, _OTHER), path.read_bytes()
        )
        for path in sorted(page.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
    return {"/": files[f"/{_INDEX}"], **files}


def bundle_files(bundle: Bundle) -> dict[str, Served]:
    """A bundle's manifest, and the files that it lists, by their addresses below ``/bundle/``.

    None is served as something that a browser would run.

    Raises:
        BundleError: A file is not what the manifest says.
    """
    return {
        f"/bundle/{name}": Served(_JSON if name.endswith(".json") else _OTHER, bundle.read(name))
        for name in (MANIFEST, *bundle.file_names)
    }
