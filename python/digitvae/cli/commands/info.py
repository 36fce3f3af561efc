"""``digitvae info``: what is in a bundle, and which ONNX Runtime would run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from digitvae.cli import options
from digitvae.cli.say import say, say_json


@click.command(
    short_help="Show what a bundle holds and what would run it.",
    epilog="""\b
Examples:
  digitvae info                    the shipped bundle
  digitvae info DIR --check        is every file what the manifest says?
  digitvae info DIR --json | jq .metrics
""",
)
@click.argument("bundle", type=options.PATH, required=False)
@click.option("--check", is_flag=True, help="Read every file and check its SHA-256.")
@options.as_json
def info(*, bundle: Path | None, check: bool, as_json: bool) -> None:
    """Show what a bundle holds and what would run it.

    Without BUNDLE: the one that is shipped.
    """
    from digitvae.base.errors import RuntimeLibraryError
    from digitvae.bundle.folder import Bundle
    from digitvae.engine.runtime import open_runtime

    opened = Bundle.open(bundle)
    if check:
        opened.check_files()
    try:
        library = open_runtime()
    except RuntimeLibraryError as error:
        # A bundle can be looked at without it.
        runtime = {"error": str(error)}
    else:
        runtime = {"version": library.version, "library": library.path}
    if as_json:
        result = {
            "path": str(opened.path),
            "bundle_sha256": opened.sha256,
            "checked": check,
            "manifest": opened.manifest,
            "runtime": runtime,
        }
        say_json(result)
        return
    found = (
        f"not available: {runtime['error']}"
        if "error" in runtime
        else f"ONNX Runtime {runtime['version']}, {runtime['library']}"
    )
    facts = [("bundle", str(opened.path)), ("sha256", opened.sha256), *_facts(opened.manifest)]
    facts += [("checked", "every SHA-256 is right")] if check else []
    last = ""
    for heading, fact in [*facts, ("runtime", found)]:
        say(f"{'' if heading == last else heading:<8}  {fact}")
        last = heading


def _facts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """The manifest, with headings. Only ``schema``, ``dims`` and ``files`` are sure to exist."""
    dims = manifest["dims"]
    pixels = dims["height"] * dims["width"]
    sizes = (pixels, dims["hidden"], f"{dims['latent']} latents", dims["hidden"], pixels)
    network = f"{' → '.join(map(str, sizes))}, images {dims['height']} × {dims['width']}"
    facts = [("schema", manifest["schema"]), ("network", network)]
    known = [key for key in ("dataset", "objective", "epochs", "seed") if key in manifest]
    if known:
        facts.append(("training", ", ".join(f"{key} {manifest[key]}" for key in known)))
    for heading, key in (("metrics", "metrics"), ("made by", "versions")):
        values = manifest.get(key)
        if isinstance(values, dict):
            for name, value in sorted(values.items()):
                shown = f"{value:.6g}" if isinstance(value, float) else str(value)
                facts.append((heading, f"{name} {shown}"))
    width = max(len(name) for name in manifest["files"])
    facts += [
        ("files", f"{name:<{width}}  {entry['bytes']:>9,}  {entry['sha256']}")
        for name, entry in sorted(manifest["files"].items())
    ]
    return facts
