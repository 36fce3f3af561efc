"""Bundles that differ from others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from digitvae.bundle.folder import describe_content, write_manifest
from digitvae.bundle.names import MANIFEST


def altered(
    bundle: Path, folder: Path, files: Mapping[str, bytes | None], **entries: object
) -> Path:
    """A copy of a bundle with other files, as its manifest has them, and other entries of that.

    Args:
        bundle: What is copied.
        folder: Where to.
        files: Contents by name; ``None``: the copy lacks that file.
        entries: Of the manifest.
    """
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    for name, content in files.items():
        if content is None:
            (folder / name).unlink(missing_ok=True)
            manifest["files"].pop(name, None)
        else:
            (folder / name).write_bytes(content)
            manifest["files"][name] = describe_content(content)
    write_manifest(folder, manifest | entries)
    return folder
