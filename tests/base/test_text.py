"""What comes from files is shown, and obeyed by no terminal, page or Markdown renderer."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import digitvae
from digitvae.base import errors
from digitvae.base.markup import Markdown, code_span, markdown, shown
from digitvae.base.tables import Table
from digitvae.base.text import printable
from digitvae.cli.app import main
from digitvae.cli.progress import progress, steps
from digitvae.cli.say import say, say_json, say_lines
from digitvae.cli.tables import print_table
from digitvae.parity.report.report import Check, ParityReport
from digitvae.parity.report.tables import tables
from tests.support.running import Runner

HOSTILE = {
    "escape sequence": "\x1b[2J\x1b]0;title\x07",
    "C1": "\x9b31m",
    "delete": "a\x7f\x08b",
    "line": "x\nchecked   every SHA-256 is right",
    "carriage return": "x\rdigitvae: error: nothing",
    "separators": "\x85\u2028\u2029\x0b\x0c\x1c",
    "directions": "\u202egnp.exe\u2066\u2069\u200f",
    "surrogate": "\udc9b",
    "beyond": "\U000e0001",
}
ANY = st.text(st.characters(categories=None)) | st.sampled_from(list(HOSTILE.values()))


@given(ANY)
def test_a_printable_text_is_one_line_without_controls(text: str) -> None:
    cleaned = printable(text)
    assert cleaned.isprintable()
    assert printable(cleaned) == cleaned
    if text.isprintable():
        assert cleaned == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("digits.npy: 7 × μ – 😀", "digits.npy: 7 × μ – 😀"),
        ("a\nb\t\x1b[31m", r"a\nb\t\x1b[31m"),
        ("\x7f\x9b\u202e\u2028\udcff", r"\x7f\x9b\u202e\u2028\udcff"),
    ],
)
def test_what_is_not_printed_is_spelled_out(text: str, cleaned: str) -> None:
    assert printable(text) == cleaned


def test_a_page_may_have_lines_but_no_marks_of_direction() -> None:
    assert shown("a\n\t\xa0b\x1b\u202e\u2066") == "a\n\t\xa0b\\x1b\\u202e\\u2066"


@given(ANY, ANY)
def test_every_argument_of_an_error_is_one_line_of_it(message: str, detail: str) -> None:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.DigitVAEError):
            assert str(kind(message)).isprintable()
            head, below = str(kind(message, detail)).split("\n")
            assert head == str(kind(message))
            assert below == f"  {printable(detail)}"


@given(ANY)
def test_json_on_a_terminal_is_the_same_json_without_controls(text: str) -> None:
    for indent in (None, 2):
        with pytest.MonkeyPatch.context() as patch:
            told: list[str] = []
            patch.setattr("digitvae.cli.say.click.echo", told.append)
            say_json({text: [text, {"a": text}]}, indent=indent)
        (printed,) = told
        assert all(line.isprintable() for line in printed.split("\n"))
        assert json.loads(printed) == {text: [text, {"a": text}]}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_line_stays_a_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    say(text, err=True)
    out, err = capsys.readouterr()
    assert out == err == f"{printable(text)}\n"


RENDER = MarkdownIt("commonmark").enable("table")
ATTACKS = [
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<https://evil.example>",
    "`code` | another cell | ",
    "**bold** \\",
    "a\n\n# heading\n\n- item\n\n| x |\n|---|\n",
    "&lt;b&gt; &#60;",
    "[a]: https://evil.example",
    "](https://evil.example)",
]


def kinds(text: str) -> set[str]:
    """What a renderer finds in Markdown."""
    tokens = RENDER.parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    return {token.type for token in (*tokens, *inline)}


@given(ANY | st.sampled_from(ATTACKS) | st.text("[]()<>!`*|\\&:/a\n\"'#-"))
def test_markdown_of_any_text_is_that_text(text: str) -> None:
    table = Table("T", ("a", "b"), ((text, "1"), (text, "2")), note=f"N {text}").markdown()
    tokens = RENDER.parse(table)
    assert kinds(table) <= {
        *("paragraph_open", "paragraph_close", "inline", "text", "strong_open", "strong_close"),
        *("table_open", "table_close", "thead_open", "thead_close", "tbody_open", "tbody_close"),
        *("tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close", "text_special"),
    }
    cells = [
        "".join(child.content for child in tokens[i + 1].children or ())
        for i, token in enumerate(tokens)
        if token.type == "td_open"
    ]
    assert [cell.strip() for cell in cells] == [
        *(printable(text).strip(" "), "1"),
        *(printable(text).strip(" "), "2"),
    ]


@pytest.mark.parametrize(
    "text",
    ["http://evil.example", "HTTPS://evil.example", "www.evil.example", "me@evil.example"],
)
def test_no_address_becomes_a_link_by_itself(text: str) -> None:
    escaped = markdown(text)
    assert "://" not in escaped
    assert "www." not in escaped
    assert escaped.count("@") == escaped.count(r"\@")
    assert RENDER.renderInline(escaped) == text


@given(ANY | st.sampled_from(ATTACKS))
def test_code_is_one_span_of_code(text: str) -> None:
    table = f"| a |\n|---|\n| {code_span(f'x{text}x')} |"
    assert kinds(table) >= {"code_inline"}
    assert not kinds(table) & {"link_open", "image", "html_inline", "html_block", "heading_open"}
    assert sum(token.type == "td_open" for token in RENDER.parse(table)) == 1


def test_markdown_of_our_own_is_left_alone() -> None:
    ours = Markdown("`a` [b](c)")
    assert markdown(ours) is ours
    assert markdown("k = 5000, z ~ N(0, I), 3.4×, 99 %") == "k = 5000, z ~ N(0, I), 3.4×, 99 %"


def test_commands_print_by_what_cleans_alone() -> None:
    """Else a new command could forget to."""
    allowed = {
        "say.py": {"echo"},
        "app.py": {"write"},  # errors, which are clean
        "completion.py": {"echo"},  # a script of click's
        "tables.py": {"print"},
        "train.py": {"print"},  # through rich, which knows where the bar is
    }
    for file in (Path(digitvae.__file__).parent / "cli").glob("*.py"):
        called = {
            node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, (ast.Attribute, ast.Name))
        }
        written = called & {"echo", "secho", "print", "print_exception"}
        if file.name in ("app.py", "explore.py", "progress.py"):
            written |= called & {"write"}
        assert written == allowed.get(file.name, set()), file


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_user_types_forges_no_line_of_an_error(text: str, run: Runner) -> None:
    typed = text.replace("\x00", "")
    for words in (
        ["info", typed],
        ["info", "a", typed],
        ["generate", typed],
        [typed],
        [f"--{typed}"],
    ):
        found = run(*words)
        assert found.code in (1, 2), words
        assert found.out == ""
        assert all(line.isprintable() for line in found.err.split("\n")), words
        assert "\nchecked" not in found.err


def test_other_errors_are_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error in (ValueError, TypeError, MemoryError, RuntimeError, errors.BundleError):

        def fail(*_: object, kind: type[Exception] = error) -> None:
            raise kind("\x1b[2J\nchecked   every SHA-256 is right")

        monkeypatch.setattr("digitvae.bundle.folder.Bundle.open", fail)
        assert main(["info"]) in (1, 2)
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert r"\x1b[2J\nchecked" in err


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_table_on_a_terminal_shows_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ((f"[red]{text}[/red]", "1"),)
    print_table(Table(f"title {text}", (f"name {text}", "b"), rows, note=f"note {text}"))
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.split("\n"))
    assert "[red]" in out  # which would be a colour, were it markup


def test_a_bar_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("digitvae.cli.progress._PATIENCE", -1.0)
    monkeypatch.setenv("TERM", "xterm")
    what = "[red]\x1b]0;title\x07\nchecked\u202e"
    with steps() as step:
        step(1, 2, what)
    with progress(what, 3) as advance:
        advance(1)
    err = capsys.readouterr().err
    assert err.count(r"[red]\x1b]0;title\x07\nchecked\u202e") >= 2
    assert "\x1b]" not in err
    assert "\u202e" not in err


def test_a_verification_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a\x1b[2J\nparity: 999 checks passed\u202e|b"
    item = Check(text, text, "failed", text)
    report = ParityReport(text, text, 1, {text: text}, {text: text}, (item,), ())
    assert report.summary().split("\n")[1] == f"  {printable(str(item))}"
    for table in tables(report):
        assert all(line.isprintable() for line in str(table).split("\n"))
        assert len(str(table).split("\n")) == 2 + len(table.rows)
    assert str(errors.ParityError(*report.summary().split("\n  "))) == report.summary()
    say_lines(report.summary())
    assert capsys.readouterr().out == f"{report.summary()}\n"
