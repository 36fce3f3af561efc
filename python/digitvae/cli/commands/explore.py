"""``digitvae explore``: the latent explorer, in the browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from digitvae.cli import options
from digitvae.cli.say import say, say_json, tell


@click.command(
    short_help="Look into a bundle in the browser.",
    epilog="""\b
Examples:
  digitvae explore                               the shipped bundle
  digitvae explore --bundle DIR
  digitvae explore --port 8000 --no-browser      over ssh -L 8000:127.0.0.1:8000
""",
)
@options.bundle
@options.number("--port", low=0, high=65535, default=0, help="Where to listen; 0: a free port.")
@click.option("--no-browser", is_flag=True, help="Print the address, and open nothing.")
@options.as_json
def explore(*, bundle: Path | None, port: int, no_browser: bool, as_json: bool) -> None:
    """Look into a bundle in the browser, until Ctrl-C.

    The page samples, drags through latents, takes drawings and morphs, with the bundle's own
    models, run by the browser. It is served to this machine only, and asks nobody else for
    anything.
    """
    from digitvae.bundle.folder import Bundle
    from digitvae.explorer.files import bundle_files, page_files
    from digitvae.explorer.server import ExplorerServer

    opened = Bundle.open(bundle)
    with ExplorerServer({**page_files(), **bundle_files(opened)}, port) as server:
        if as_json:
            result = {
                "command": "explore",
                "url": server.url,
                "port": server.server_port,
                "bundle": str(opened.path),
                "bundle_sha256": opened.sha256,
            }
            say_json(result)
        else:
            say(f"{server.url}  Ctrl-C ends it")
        if not no_browser:
            _open_browser(server.url)
        server.serve_forever()


def _open_browser(url: str) -> None:
    """Have the browser show an address. Without one, say so: the address has been printed."""
    import threading
    import webbrowser

    def open_it() -> None:
        if not webbrowser.open(url):
            tell(f"digitvae: no browser could be started: open {url} in one")

    # In a terminal alone, Python would take it over with a text browser, which shows no digits.
    graphical = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform == "linux" and not any(os.environ.get(name) for name in graphical):
        place = url.split("/")[2]
        port = place.partition(":")[2]
        tell(
            f"digitvae: there is no screen here for a browser: open {url} in one of this machine, "
            f"or of another that came here by `ssh -L {port}:{place} …`"
        )
        return
    # Some browsers do not return before they are closed.
    threading.Thread(target=open_it, daemon=True).start()
