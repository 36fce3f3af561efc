"""What the site takes from the code: every command, every function of the headers, every name."""

from __future__ import annotations

import re

import click
from tools.docs.commands import reference
from tools.docs.headers import c_reference, cpp_synopsis
from tools.docs.runtimes import table

import digitvae as dv
from digitvae.cli.commands import NAMES, app
from tests.docs.blocks import ROOT, read

HEADERS = ROOT / "cpp" / "include" / "digitvae"


def test_the_reference_has_every_command_with_every_option_and_its_help() -> None:
    section = re.compile(r"^## (\w+)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    sections = dict(section.findall(reference()))
    assert tuple(sections) == NAMES
    context = click.Context(app, info_name="digitvae")
    for name, text in sections.items():
        command = app.get_command(context, name)
        assert command is not None
        for option in command.params:
            if isinstance(option, click.Option):
                assert all(f"`{flag}`" in text for flag in option.opts), (name, option.opts)
                assert (option.help or "Show").split()[0] in text


def test_options_come_with_their_choices_and_defaults() -> None:
    text = reference()
    assert "`--seed` *N*\n:   Seed of the random numbers. Default: 0.\n" in text
    assert "One of `uint8`, `float32`. Default: uint8." in text


def test_examples_in_help_keep_their_lines() -> None:
    assert "Examples:\n\n```text\ndigitvae generate 10_000 --seed 7 -o digits.npy\n" in reference()


def test_the_c_reference_has_every_function_under_a_heading() -> None:
    header = (HEADERS / "digitvae.h").read_text(encoding="utf-8")
    symbols = (ROOT / "cpp" / "abi" / "digitvae-1.symbols").read_text(encoding="utf-8").split()
    text = c_reference(header)
    headings = " ".join(re.findall(r"^### (.*)$", text, re.MULTILINE))
    functions = [symbol for symbol in symbols if symbol.startswith("dvae_")]
    assert functions
    assert all(f"`{function}`" in headings for function in functions)
    assert "DVAE_API" not in text
    assert "#ifndef" not in text
    assert "## Generating\n" in text
    assert "**Ownership.** You own every buffer you pass" in text


def test_the_cpp_reference_has_declarations_without_bodies_and_details() -> None:
    text = cpp_synopsis((HEADERS / "digitvae.hpp").read_text(encoding="utf-8"))
    assert "latents(std::size_t count, const SampleOptions& options = {}) const;\n" in text
    assert "inline std::string version();" in text
    assert "private:" not in text
    assert "return" not in re.sub(r"//.*", "", text)
    for name in ("Error", "Progress", "Decoder", "Encoder", "Prior", "interpolate", "grid"):
        assert re.search(rf"\b{name}\b", text), name


def test_the_python_reference_has_every_public_name() -> None:
    page = read("docs/reference/python.md")
    for name in dv.__all__:
        assert name == "__version__" or f"::: digitvae.{name}\n" in page, name


def test_the_navigation_has_every_page() -> None:
    navigation = read("mkdocs.yml")
    for page in (ROOT / "docs").rglob("*.md"):
        assert f" {page.relative_to(ROOT / 'docs')}\n" in navigation, page.name


def test_the_table_of_runtimes_is_what_the_runtimes_say_of_themselves() -> None:
    assert table() in read("docs/parity.md"), "python -m tools.docs.runtimes prints it"
