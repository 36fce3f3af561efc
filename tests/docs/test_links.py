"""Links of the documentation: files and headings that exist, addresses that are addresses."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from tools.docs.markdown import LINK, Link, anchors, prose

from tests.docs.blocks import ROOT, pages, read

PAGES = ("CHANGELOG.md", *pages())


def links(page: str) -> list[Link]:
    return [Link.parse(found["target"]) for found in LINK.finditer(prose(read(page)))]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    for link in links(page):
        if link.is_elsewhere:
            continue
        path = link.path_from(page) or page
        assert (ROOT / path).exists(), f"{page}: {path}"
        if link.anchor:
            assert link.anchor[1:] in anchors(read(path)), f"{page}: {path}{link.anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_addresses_are_whole_and_encrypted(page: str) -> None:
    for link in links(page):
        if link.is_elsewhere and not link.path.startswith("mailto:"):
            address = urlsplit(link.path)
            assert address.scheme == "https", f"{page}: {link.path}"
            assert "." in address.netloc, f"{page}: {link.path}"


def test_anchors_are_those_of_the_site() -> None:
    text = "# One, two\n```sh\n# no heading\n```\n## `code` and prior.onnx\n"
    assert anchors(text) == {"one-two", "code-and-prioronnx"}
