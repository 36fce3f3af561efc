"""A web server for this machine alone: fixed content, read-only."""

from __future__ import annotations

import errno
import socketserver
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from digitvae.base.errors import ExplorerError
from digitvae.explorer.files import Served

LOOPBACK = "127.0.0.1"

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self'",
        "connect-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ExplorerServer(ThreadingHTTPServer):
    """Serves a table of addresses, to programs of this machine.

    Args:
        files: What is at each address (``/``, ``/assets/….js``).
        port: Where to listen on 127.0.0.1; 0 for a free one.

    Raises:
        ExplorerError: The port is taken, or not to be had.
    """

    daemon_threads = True  # Ctrl-C does not wait for browsers that keep connections open
    block_on_close = False

    def __init__(self, files: Mapping[str, Served], port: int = 0) -> None:
        self.files = files
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            reason = error.strerror
            if error.errno == errno.EADDRINUSE:
                reason = "another program uses it"
            raise ExplorerError(
                f"cannot listen on port {port} of {LOOPBACK}: {reason}. Take another with --port, "
                "or 0 for one that is free"
            ) from error

    def server_bind(self) -> None:
        """Bind, without asking name servers what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, int(self.server_address[1])

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    @property
    def hosts(self) -> frozenset[str]:
        """Names that browsers know this server by.

        A request that names another came from a page elsewhere, whose name was made to point here
        (DNS rebinding).
        """
        names = (LOOPBACK, "localhost")
        with_port = [f"{name}:{self.server_port}" for name in names]
        return frozenset([*with_port, *(names if self.server_port == 80 else ())])

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of browsers that hang up in mid-answer."""


class _Handler(BaseHTTPRequestHandler):
    server: ExplorerServer
    protocol_version = "HTTP/1.1"
    server_version = "digitvae"
    sys_version = ""
    timeout = 60  # of a connection on which nothing happens

    def do_GET(self) -> None:
        if self.headers.get("Host", "").lower() not in self.server.hosts:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this is not the server you asked for")
            return
        address = unquote(self.path.partition("?")[0])
        served = self.server.files.get(address)
        if served is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing at this address")
            return
        # The names of assets hold their hashes.
        cache = "max-age=31536000, immutable" if address.startswith("/assets/") else "no-cache"
        self._send(HTTPStatus.OK, cache, *served)

    do_HEAD = do_GET  # noqa: N815 (http.server names methods so)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        content = f"{status} {status.phrase}: {reason}\n".encode()
        self._send(status, "no-store", "text/plain; charset=utf-8", content)

    def _send(self, status: HTTPStatus, cache: str, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", cache)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the terminal quiet."""
