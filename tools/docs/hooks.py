"""mkdocs hooks: what the site has beside the pages of docs/ (``mkdocs.yml``).

The pages link to files of the repository as one reads them there. On the site README-like files
become pages of their own, other files pages that show the source, so that every link works without
knowing where the repository is hosted. The references of commands and headers are generated.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, InclusionLevel

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # mkdocs does not look for modules there

from tools.docs.commands import reference  # noqa: E402
from tools.docs.headers import c_reference, cpp_synopsis  # noqa: E402
from tools.docs.markdown import FENCED, LINK, MARK, Link, prose  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

HEADERS = ROOT / "cpp" / "include" / "digitvae"
PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "cpp/examples/README.md": "examples.md",
    "export/README.md": "bundle.md",
}
"""Files outside docs/ that are pages of the site."""
GENERATED: dict[str, Callable[[], str]] = {
    "commands": reference,
    "c": lambda: c_reference((HEADERS / "digitvae.h").read_text(encoding="utf-8")),
    "cpp": lambda: cpp_synopsis((HEADERS / "digitvae.hpp").read_text(encoding="utf-8")),
}
"""What replaces ``<!-- site: NAME -->`` and the text up to ``<!-- end -->``."""
_PLACE = re.compile(r"<!-- site: (\w+) -->.*?<!-- end -->", re.DOTALL)
_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod|obj):(?=<code>)")
_LOADED = re.compile(r"<(?:iframe|img|link|script)\b[^>]*?(?:href|src)=\"?https?:[^>]*>")
_LANGUAGES = {".py": "python", ".h": "c", ".c": "c", ".hpp": "cpp", ".cpp": "cpp", ".txt": "cmake"}
_SHOWN_AS_TEXT = {*_LANGUAGES, ".md", ".sh", ".symbols", ".yml", ".toml", ""}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand outside docs/, and whatever pages link to."""
    for source, page in PAGES.items():
        if source != "README.md":
            content = (ROOT / source).read_text(encoding="utf-8")
            files.append(File.generated(config, page, content=content))
    for path in sorted(set(_linked(files))):
        for one in _source_files(path, config):
            files.append(one)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turn links out of docs/ into links to pages of the site, and fill in what is generated."""
    place = _place(page.file)
    unmarked = MARK.sub("", markdown)
    text = _outside_code(unmarked, lambda part: _redirect(part, place, page.file.src_uri))
    return _PLACE.sub(lambda found: GENERATED[found[1]](), text)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Drop the roles of cross-references in docstrings, which Markdown does not know."""
    return _ROLE.sub("", html)


def on_post_build(config: MkDocsConfig) -> None:
    """Make sure that pages load nothing from other hosts."""
    for page in Path(config.site_dir).rglob("*.html"):
        loaded = _LOADED.search(page.read_text(encoding="utf-8"))
        if loaded:
            raise PluginError(f"{page}: loads from another host: {loaded[0]}")


def _place(file: File) -> str:
    """Where the text of a page stands in the repository."""
    outside = {page: source for source, page in PAGES.items() if source != "README.md"}
    return outside.get(file.src_uri, f"docs/{file.src_uri}")


def _linked(files: Files) -> Iterator[str]:
    """Paths outside docs/ that pages link to, and that are no pages."""
    for file in files.documentation_pages():
        place = _place(file)
        for found in LINK.finditer(prose(file.content_string)):
            path = _file(Link.parse(found["target"]), place)
            if path is not None and not path.startswith("docs/") and path not in PAGES:
                yield path


def _file(link: Link, place: str) -> str | None:
    """The linked file; ``None``: it is elsewhere, or missing, which mkdocs tells."""
    path = link.path_from(place)
    return path if path is not None and (ROOT / path).exists() else None


def _redirect(text: str, place: str, page: str) -> str:
    def redirected(found: re.Match[str]) -> str:
        link = Link.parse(found["target"])
        path = _file(link, place)
        if path is None:
            return found[0]
        target = PAGES.get(path) or (
            path.removeprefix("docs/") if path.startswith("docs/") else _address(path)
        )
        relative = posixpath.relpath(target, posixpath.dirname(page) or ".")
        return found["before"] + relative + link.anchor + found["after"]

    return LINK.sub(redirected, text)


def _address(path: str) -> str:
    """Where the site has a file or folder of the repository."""
    suffix = Path(path).suffix
    return f"source/{path}.md" if suffix in _SHOWN_AS_TEXT else f"source/{path}"


def _source_files(path: str, config: MkDocsConfig) -> Iterator[File]:
    hidden = InclusionLevel.NOT_IN_NAV
    target = _address(path)
    if target.endswith(".md"):
        content = f"---\nsearch: {{exclude: true}}\n---\n# `{path}`\n\n{_listing(ROOT / path)}"
        yield File.generated(config, target, content=content, inclusion=hidden)
    else:
        yield File.generated(config, target, abs_src_path=str(ROOT / path), inclusion=hidden)


def _listing(path: Path) -> str:
    """A file as a block of code; a folder as one for each of its files."""
    if path.is_file():
        code = path.read_text(encoding="utf-8").rstrip()
        return f"`````{_LANGUAGES.get(path.suffix, 'text')}\n{code}\n`````\n"
    files = [one for one in sorted(path.iterdir()) if one.suffix in _LANGUAGES]
    return "\n".join(f"## {one.name}\n\n{_listing(one)}" for one in files)


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change what is not in a fenced block."""
    parts: list[str] = []
    end = 0
    for fenced in FENCED.finditer(text):
        parts += [change(text[end : fenced.start()]), fenced[0]]
        end = fenced.end()
    return "".join([*parts, change(text[end:])])
