"""The bundle: a folder that holds one exported model, self-contained and read-only in use.

``export/README.md`` is the format on one page. Everything here distrusts the folder: names, sizes
and SHA-256 are checked before a byte is used, and each way to be wrong has its own message.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digitvae.base.errors import BundleError
from digitvae.base.files import open_regular
from digitvae.bundle.dims import Dims
from digitvae.bundle.names import DECODER, ENCODER, MANIFEST

SCHEMA = "digitvae-bundle/1"
REQUIRED_FILES = (DECODER, ENCODER)
REQUIRED_DIMS = ("latent", "hidden", "height", "width")

MAX_MANIFEST_BYTES = 1 << 20
_MAX_NAME_BYTES = 255
_HEX_DIGITS = frozenset("0123456789abcdef")


def shipped_path() -> Path:
    """Folder of the bundle that comes with the package (trained on MNIST)."""
    return shipped_folder("bundles/mnist", "mnist")


def shipped_folder(installed: str, exported: str) -> Path:
    """A folder that comes with the package.

    Args:
        installed: Its path in the package.
        exported: Its path in ``export`` of the source tree, which is taken if it is not installed.
    """
    package = Path(__file__).resolve().parents[1]
    here, in_source_tree = package / installed, package.parents[1] / "export" / exported
    return here if here.is_dir() or not in_source_tree.is_dir() else in_source_tree


def describe_files(folder: Path, names: Iterable[str]) -> dict[str, dict[str, object]]:
    """Size and SHA-256 of files in a folder, as the manifest lists them.

    Returns:
        ``{name: {"bytes": int, "sha256": 64 hex digits}}``, sorted by name.
    """
    return {name: describe_content((folder / name).read_bytes()) for name in sorted(names)}


def describe_content(content: bytes) -> dict[str, object]:
    """Size and SHA-256 of one file, as the manifest lists it."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def manifest_bytes(manifest: dict[str, Any]) -> bytes:
    """The content of ``manifest.json``: sorted keys, two spaces, a newline at the end."""
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return text.encode()


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write ``manifest.json`` into a folder.

    Raises:
        OutputError: It cannot be written; what was there is as it was.
    """
    from digitvae.base.atomic import write_whole  # reading a bundle does not need it

    write_whole(folder / MANIFEST, manifest_bytes(manifest))


@dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest and file sizes have been checked.

    Attributes:
        path: The folder, absolute.
        manifest: The parsed ``manifest.json``.
        sha256: Of ``manifest.json``, which holds every file's hash: it names the bundle.
    """

    path: Path
    manifest: dict[str, Any]
    sha256: str

    @classmethod
    def open(cls, path: str | Path | None = None) -> Bundle:
        """Open a bundle and check its manifest, and that every file is there with its size.

        Args:
            path: The folder; ``None`` for the shipped bundle.

        Raises:
            BundleError: The folder or a file is missing, the manifest is not JSON or not ours,
                the schema is unknown, a name leaves the folder, a size is not the manifest's.
        """
        folder = shipped_path() if path is None else Path(path)
        try:
            if not folder.exists():
                raise BundleError(f"there is no bundle at {folder}: the folder does not exist")
            if not folder.is_dir():
                raise BundleError(f"{folder} is a file, expected a bundle: a folder of files")
            folder = folder.resolve()
            content = _read_manifest_bytes(folder)
            manifest = _parse_manifest(folder / MANIFEST, content)
            bundle = cls(folder, manifest, hashlib.sha256(content).hexdigest())
            for name in bundle.file_names:
                bundle._check_entry(name)
        except OSError as error:
            raise BundleError(f"cannot read the bundle {folder}: {error.strerror}") from error
        return bundle

    @property
    def file_names(self) -> tuple[str, ...]:
        """Names of the files that the manifest lists, sorted."""
        return tuple(sorted(self.manifest["files"]))

    @property
    def latent_dim(self) -> int:
        """Number of latents."""
        return self.dims.latents

    @property
    def dims(self) -> Dims:
        """Sizes of the images and the networks."""
        return Dims.of_manifest(self.manifest)

    def read(self, name: str) -> bytes:
        """Read one file and check it against the manifest, or the manifest as it was opened.

        Raises:
            BundleError: The manifest does not list it, or its size or SHA-256 is another.
        """
        if name == MANIFEST:
            return self._read_manifest()
        if name not in self.manifest["files"]:
            raise BundleError(
                f"{name} is not in the bundle {self.path}: its manifest does not list it"
            )
        size = self.manifest["files"][name]["bytes"]
        try:
            expected = self._check_entry(name)
            # No link any more, and no byte beyond what may be there: it may be another by now.
            with open_regular((self.path / name).resolve(), follow=False) as file:
                content = file.read(size + 1)
        except OSError as error:
            raise BundleError(f"cannot read {self.path / name}: {error.strerror}") from error
        if len(content) != size:
            raise _wrong_size(self.path / name, len(content), size)
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            raise BundleError(
                f"{self.path / name} was changed: its SHA-256 is {found}, the manifest says "
                f"{expected}. Export the bundle again or fetch a fresh copy"
            )
        return content

    def _read_manifest(self) -> bytes:
        try:
            content = _read_manifest_bytes(self.path)
        except OSError as error:
            raise BundleError(f"cannot read {self.path / MANIFEST}: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise BundleError(
                f"{self.path / MANIFEST} was changed since the bundle was opened; open it again"
            )
        return content

    def check_files(self) -> None:
        """Check the SHA-256 of every file that the manifest lists.

        Raises:
            BundleError: Names the first file that is not what the manifest says.
        """
        for name in self.file_names:
            self.read(name)

    def _check_entry(self, name: str) -> str:
        """Check that a listed file lies in the folder with its size; return its SHA-256."""
        entry = self.manifest["files"][name]
        file = self.path / name
        if not file.exists():
            raise BundleError(f"the bundle {self.path} is incomplete: {name} is missing")
        if file.resolve().parent != self.path:
            raise BundleError(f"{file} is a link that leaves the bundle, to {file.resolve()}")
        if not file.is_file():
            raise BundleError(f"{file} is not a regular file")
        size = file.stat().st_size
        if size != entry["bytes"]:
            raise _wrong_size(file, size, entry["bytes"])
        return str(entry["sha256"])


def _wrong_size(file: Path, found: int, told: int) -> BundleError:
    kind = "truncated" if found < told else "longer than it should be"
    return BundleError(
        f"{file} is {kind}: {found} bytes, the manifest says {told}. "
        "Export the bundle again or fetch a fresh copy"
    )


def _read_manifest_bytes(folder: Path) -> bytes:
    file = folder / MANIFEST
    if not file.is_file():
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST}")
    if file.resolve().parent != folder:
        raise BundleError(f"{file} is a link that leaves the bundle, to {file.resolve()}")
    with open_regular(file.resolve(), follow=False) as opened:
        content = opened.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise BundleError(f"{file} is larger than a manifest can be ({MAX_MANIFEST_BYTES} bytes)")
    return content


def _parse_manifest(file: Path, content: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(content.decode("utf-8"))
        if b"\\u" in content:  # which can spell halves of characters, and no text can hold these
            json.dumps(manifest, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{file} is not JSON: {error}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("schema"), str):
        raise BundleError(f"{file} is not a digitvae manifest: it names no schema")
    if manifest["schema"] != SCHEMA:
        raise BundleError(
            f"{file} has schema {manifest['schema']!r}; this version of digitvae reads {SCHEMA!r}"
        )
    dims = manifest.get("dims")
    if not isinstance(dims, dict) or not all(_is_count(dims.get(key)) for key in REQUIRED_DIMS):
        raise BundleError(
            f"{file}: dims is {dims!r}, expected whole numbers of at least 1 for "
            + ", ".join(REQUIRED_DIMS)
        )
    files = manifest.get("files")
    if not isinstance(files, dict):
        raise BundleError(f"{file}: files is {type(files).__name__}, expected an object")
    for name, entry in files.items():
        _check_manifest_entry(file, name, entry)
    missing = [name for name in REQUIRED_FILES if name not in files]
    if missing:
        raise BundleError(f"{file} does not list {' and '.join(missing)}")
    return manifest


def _check_manifest_entry(file: Path, name: str, entry: object) -> None:
    plain = name.isprintable() and len(name.encode()) <= _MAX_NAME_BYTES
    if not name or name.startswith(".") or not plain or any(char in name for char in "/\\:"):
        raise BundleError(f"{file} lists {name!r}, which is not a plain file name")
    digest = entry.get("sha256") if isinstance(entry, dict) else None
    size = entry.get("bytes") if isinstance(entry, dict) else None
    if not isinstance(digest, str) or len(digest) != 64 or not _HEX_DIGITS.issuperset(digest):
        raise BundleError(f"{file}: the sha256 of {name} is {digest!r}, expected 64 hex digits")
    if not _is_count(size, least=0):
        raise BundleError(f"{file}: the size of {name} is {size!r}, expected a number of bytes")


def _is_count(value: object, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
