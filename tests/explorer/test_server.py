"""Who may ask the explorer's server for what, and what it answers."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from digitvae.base.errors import BundleError, ExplorerError
from digitvae.bundle.folder import Bundle, describe_content, shipped_path, write_manifest
from digitvae.explorer.files import bundle_files, page_files
from digitvae.explorer.server import ExplorerServer

PAGE = {
    "index.html": b"<!doctype html><title>page</title>",
    "icon.svg": b"<svg/>",
    "assets/index-Ab1.js": b"export {};",
    "assets/index-Ab1.css": b"p{}",
    "assets/runtime-Ab1.wasm": b"\0asm",
}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page that stands for the built one."""
    folder = tmp_path / "page"
    for name, content in PAGE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def server(page: Path) -> Iterator[ExplorerServer]:
    with serving(page) as made:
        yield made


@contextmanager
def serving(page: Path, bundle: Path | None = None) -> Iterator[ExplorerServer]:
    """A server that runs beside the block."""
    files = {**page_files(page), **bundle_files(Bundle.open(bundle))}
    with ExplorerServer(files) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()


def ask(server: ExplorerServer, path: str, method: str = "GET", host: str | None = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
        connection.endheaders()
        return Answer(connection.getresponse())
    finally:
        connection.close()


def test_it_listens_on_this_machine_alone(server: ExplorerServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/index.html", "index.html", "text/html; charset=utf-8"),
        ("/?seed=1", "index.html", "text/html; charset=utf-8"),
        ("/icon.svg", "icon.svg", "image/svg+xml"),
        ("/assets/index-Ab1.js", "assets/index-Ab1.js", "text/javascript; charset=utf-8"),
        ("/assets/index-Ab1.css", "assets/index-Ab1.css", "text/css; charset=utf-8"),
        ("/assets/runtime-Ab1.wasm", "assets/runtime-Ab1.wasm", "application/wasm"),
    ],
)
def test_the_page_is_served_with_its_types(
    server: ExplorerServer, path: str, name: str, kind: str
) -> None:
    answer = ask(server, path)
    assert (answer.status, answer.body) == (200, PAGE[name])
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Content-Length"] == str(len(PAGE[name]))
    cached = answer.headers["Cache-Control"]
    assert cached == ("max-age=31536000, immutable" if name.startswith("assets/") else "no-cache")


def test_every_answer_has_a_policy_that_keeps_the_page_to_itself(server: ExplorerServer) -> None:
    for path in ("/", "/bundle/manifest.json", "/nothing"):
        headers = ask(server, path).headers
        policy = headers["Content-Security-Policy"].split("; ")
        assert "default-src 'none'" in policy
        assert "connect-src 'self'" in policy
        assert "script-src 'self' 'wasm-unsafe-eval'" in policy
        assert "frame-ancestors 'none'" in policy
        assert not any("unsafe-inline" in part or "'unsafe-eval'" in part for part in policy)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_the_bundle_is_served_byte_for_byte(server: ExplorerServer) -> None:
    shipped = shipped_path()
    manifest = json.loads((shipped / "manifest.json").read_bytes())
    for name in ("manifest.json", *manifest["files"]):
        answer = ask(server, f"/bundle/{name}")
        assert answer.status == 200
        assert answer.body == (shipped / name).read_bytes()
    assert ask(server, "/bundle/manifest.json").headers["Content-Type"] == "application/json"
    onnx = ask(server, "/bundle/decoder.onnx").headers
    assert onnx["Content-Type"] == "application/octet-stream"


@pytest.fixture
def bundle(unlabelled_bundle: Path, tmp_path: Path) -> Path:
    """A bundle to change."""
    return shutil.copytree(unlabelled_bundle, tmp_path / "bundle")


def test_of_a_bundle_only_what_its_manifest_lists_is_served(bundle: Path) -> None:
    (bundle / "secret.txt").write_text("secret")
    files = bundle_files(Bundle.open(bundle))
    assert "/bundle/decoder.onnx" in files
    assert "/bundle/secret.txt" not in files


@pytest.mark.parametrize("name", ["manifest.json", "decoder.onnx"])
@pytest.mark.parametrize("how", ["a link", "other content", "nothing"])
def test_what_was_opened_is_served_whatever_becomes_of_the_folder(
    page: Path, bundle: Path, tmp_path: Path, name: str, how: str
) -> None:
    before = (bundle / name).read_bytes()
    with serving(page, bundle) as server:
        (bundle / name).unlink()
        if how == "a link":
            (tmp_path / "secret").write_bytes(bytes(len(before)))
            (bundle / name).symlink_to(tmp_path / "secret")
        elif how == "other content":
            (bundle / name).write_bytes(bytes(len(before)))
        answer = ask(server, f"/bundle/{name}")
    assert (answer.status, answer.body) == (200, before)


@pytest.mark.parametrize("name", ["manifest.json", "decoder.onnx"])
def test_a_bundle_that_changes_while_it_is_opened_is_refused(bundle: Path, name: str) -> None:
    opened = Bundle.open(bundle)
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} was changed"):
        bundle_files(opened)


def test_nothing_of_a_bundle_is_a_page_or_a_program(page: Path, bundle: Path) -> None:
    content = b"<script>alert(1)</script>"
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    names = ["page.html", "x.htm", "x.xhtml", "x.xml", "code.js", "x.mjs", "x.css", "x.svg"]
    names += ["x.wasm", "x.txt", "index", "page.HTML", "page.html ", "json", "x.onnx.html"]
    for name in names:
        (bundle / name).write_bytes(content)
        manifest["files"][name] = describe_content(content)
    write_manifest(bundle, manifest)
    with serving(page, bundle) as server:
        for name in names:
            answer = ask(server, "/bundle/" + quote(name))
            assert (answer.status, answer.body) == (200, content)
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_takes_no_text_for_html() -> None:
    """What a manifest says is text, which a page of its own origin must not run."""
    sources = list((Path(__file__).parents[2] / "web" / "src").rglob("*.ts"))
    assert sources
    sinks = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|setHTML|srcdoc|document\.write|DOMParser"
        r"|createContextualFragment|\beval\b|new Function|javascript:"
    )
    for source in sources:
        assert sinks.search(source.read_text(encoding="utf-8")) is None, source


def test_links_in_the_page_are_not_followed(page: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("outside")
    (page / "link.txt").symlink_to(tmp_path / "outside.txt")
    assert "/link.txt" not in page_files(page)


@pytest.mark.parametrize(
    "path",
    [
        "/assets",
        "/assets/",
        "/bundle",
        "/bundle/",
        "/nothing.html",
        "http://[",
        "/../index.html",
        "/bundle/../index.html",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/bundle/..%2f..%2fREADME.md",
        "/assets/..\\index.html",
        "/bundle/decoder.onnx%00",
        "/INDEX.HTML",
        "http://127.0.0.1/etc/passwd",
        "*",
    ],
)
def test_nothing_else_can_be_asked_for(server: ExplorerServer, path: str) -> None:
    answer = ask(server, path)
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body == b"404 Not Found: there is nothing at this address\n"


@pytest.mark.parametrize("path", ["/", "/bundle/decoder.onnx", "/nothing"])
def test_head_tells_what_get_would(server: ExplorerServer, path: str) -> None:
    get, head = ask(server, path), ask(server, path, "HEAD")
    assert head.body == b""
    assert head.status == get.status
    for name in ("Content-Type", "Content-Length", "Cache-Control"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_is_read_only(server: ExplorerServer, method: str) -> None:
    assert ask(server, "/", method).status == 501


@pytest.mark.parametrize(
    "host",
    ["example.org", "127.0.0.1", "127.0.0.1.example.org:{port}", "localhost:1", "[::1]:{port}"],
)
def test_pages_from_elsewhere_are_refused(server: ExplorerServer, host: str) -> None:
    """DNS rebinding: a foreign name that was made to mean this machine."""
    answer = ask(server, "/bundle/manifest.json", host=host.format(port=server.server_port))
    assert answer.status == 421
    assert b"schema" not in answer.body
    for known in ("127.0.0.1", "localhost", "LOCALHOST"):
        answer = ask(server, "/", host=f"{known}:{server.server_port}")
        assert answer.status == 200


def test_a_request_without_a_host_is_refused(server: ExplorerServer) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 421 ")


def test_a_connection_serves_request_after_request(server: ExplorerServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    for path, status in [("/", 200), ("/nothing", 404), ("/icon.svg", 200)]:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (status, True)
    connection.close()


def test_a_file_that_is_gone_is_still_served(server: ExplorerServer, page: Path) -> None:
    (page / "icon.svg").unlink()
    assert ask(server, "/icon.svg").body == PAGE["icon.svg"]


def test_a_taken_port_is_named(server: ExplorerServer, page: Path) -> None:
    port = server.server_port
    with pytest.raises(ExplorerError, match=f"port {port} .*another program uses it.*--port"):
        ExplorerServer(page_files(page), port)


def test_an_installation_without_the_page_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ExplorerError, match=r"no .*index\.html.*make web.*Node"):
        page_files(tmp_path)
