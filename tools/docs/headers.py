"""The C and C++ headers as Markdown: their comments as text, their declarations as code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PART = re.compile(r"^/\*(?P<comment>.*?)\*/[ \t]*\n|^(?P<empty>\n)", re.DOTALL | re.MULTILINE)
_SECTION = re.compile(r"^---- (.*?) -+$")
_FUNCTION = re.compile(r"\b(dvae_\w+)\(")
_TYPE = re.compile(r"^typedef [^;]*?\b(dvae_\w+)(?:;|\)\()", re.MULTILINE)
_SUBJECT = re.compile(r"(?=^[A-Z][a-z]+\.\s{2,})", re.MULTILINE)
_PLUMBING = re.compile(
    r"^#if(?:def|) .*?^#endif\n|^#include[^\n]*\n|^extern [^\n]*\n|^\}\n", re.DOTALL | re.MULTILINE
)


def c_reference(header: str) -> str:
    """``digitvae.h``: what holds for all of it, then section by section what it declares."""
    about, _, rest = header.partition("*/\n")
    body = rest.partition("#define DIGITVAE_DIGITVAE_H\n")[2].removesuffix("#endif\n")
    return "\n".join((*_about(about), *_sections(_PLUMBING.sub("", body))))


def _about(comment: str) -> Iterator[str]:
    """The comment at the top, whose paragraphs begin with their subject."""
    for paragraph in _SUBJECT.split(_lines(comment))[1:]:
        subject, _, text = paragraph.partition(".")
        yield f"**{subject}.** {_text(text)}\n"


def _sections(body: str) -> Iterator[str]:
    for comment, code in _pieces(body):
        section = _SECTION.match(comment)
        if section:
            yield f"## {section[1].capitalize()}\n"
            continue
        names = _names(code)
        if names:
            yield f"### {', '.join(f'`{name}`' for name in names)}\n"
        if comment:
            yield f"{_text(comment)}\n"
        if code:
            yield f"```c\n{_declaration(code)}\n```\n"


def _pieces(body: str) -> Iterator[tuple[str, str]]:
    """Each comment at the beginning of a line, with the code below it up to an empty line."""
    for chunk in re.split(r"\n{2,}", body.strip("\n")):
        position = 0
        comment = ""
        code: list[str] = []
        while position < len(chunk):
            found = _PART.match(chunk + "\n", position)
            if found and found["comment"] is not None:
                if comment or code:
                    yield comment, "\n".join(code)
                comment, code = _lines(found["comment"]), []
                position = found.end()
            else:
                end = (chunk + "\n").index("\n", position)
                code.append(chunk[position:end])
                position = end + 1
        yield comment, "\n".join(code)


def _declaration(code: str) -> str:
    """Code without the macro that exports it, and without the indentation on its account."""
    mark = "DVAE_API "
    if mark not in code:
        return code
    return re.sub(rf"^(?:{mark}|[ ]{{{len(mark)}}})", "", code, flags=re.MULTILINE)


def _names(code: str) -> list[str]:
    declared = re.sub(r"\{.*?\}", "{}", code, flags=re.DOTALL)
    functions = _FUNCTION.findall(declared)
    return list(dict.fromkeys(_TYPE.findall(declared) or functions))


def _lines(comment: str) -> str:
    """A comment without the stars at the beginning of its lines."""
    return re.sub(r"^ ?\* ?", "", comment.removeprefix("/*"), flags=re.MULTILINE).strip()


def _text(comment: str) -> str:
    """A comment as one paragraph of Markdown, what belongs to the language set as code."""
    words = " ".join(comment.split()).replace("<", "&lt;").replace("*", "\\*")
    quoted = r"`[^`]*`|\"digitvae\.[^\"]*\"|\b(?:dvae_|DVAE_|DIGITVAE_|ORT_)\w*(?:\.\.\.|\(\))?"
    return re.sub(quoted, lambda found: f"`{found[0].strip('`')}`", words)


def cpp_synopsis(header: str) -> str:
    """``digitvae.hpp`` without bodies, private members and details, one block a declaration."""
    body = header.partition("namespace dvae {\n")[2].rpartition("}  // namespace dvae")[0]
    while (start := body.find("namespace detail {")) >= 0:
        end = body.index("\n", _closing(body, body.index("{", start)))
        body = body[:start] + body[end + 1 :]
    body = re.sub(r"^ private:\n.*?^\};", "};", body, flags=re.DOTALL | re.MULTILINE)
    return "\n".join(f"```cpp\n{one}\n```\n" for one in _declarations(_without_bodies(body)))


def _without_bodies(body: str) -> str:
    function = re.compile(r"\)((?:\s+(?:const|noexcept))*)(\s*:\s[^;{}]*\))?\s*\{")
    position = 0
    while found := function.search(body, position):
        end = _closing(body, found.end() - 1)
        declared = body[: found.start()] + ")" + found[1] + ";"
        body = declared + body[end + 1 :]
        position = len(declared)
    return re.sub(r"\n{2,}(?=\};)", "\n", body)


def _closing(text: str, opening: int) -> int:
    """Where the brace that opens at `opening` is closed."""
    depth = 0
    for found in re.finditer(r"[{}]", text[opening:]):
        depth += 1 if found[0] == "{" else -1
        if depth == 0:
            return opening + found.start()
    raise ValueError("a brace is not closed")


def _declarations(body: str) -> Iterator[str]:
    """What stands at the beginning of a line, with the comment above it."""
    for one in re.split(r"\n{2,}(?=\S)", body.strip()):
        if not re.fullmatch(r"(?:class|struct) \w+;", one):
            yield one
