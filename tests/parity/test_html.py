"""The page says everything that the report says, needs nothing else, and nothing breaks it."""

from __future__ import annotations

import base64
import io
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from digitvae.parity.report.html import BOTTOM, LEFT, RIGHT, TOP, number, percent, to_html
from digitvae.parity.report.report import (
    Check,
    Comparison,
    Deviations,
    GateTest,
    Pair,
    ParityReport,
    Peak,
    Spread,
    WorstCase,
)

ODD = """<b class="x">&amp; 'quoted' "twice" \x00\x1b[31m\ud800\ufffe</b>"""
ODD_SHOWN = r"""<b class="x">&amp; 'quoted' "twice" \x00\x1b[31m\xd800\xfffe</b>"""
VOID = {"meta", "br", "img", "path"}  # and path is SVG, where any tag may close itself
OCTAVES = {-26: 250, -25: 1000, -24: 500, -20: 1}


def spread(peak: float = 9e-7, octaves: dict[int, int] | None = None, zeros: int = 249) -> Spread:
    octaves = OCTAVES if octaves is None else octaves
    return Spread(Peak(peak, "row 7", 5), 3e-8, 1e-7, 2e-7, octaves, zeros)


def deviations(rms: float = 4e-8, bound: float = 0.25) -> Deviations:
    return Deviations(
        to_truth=spread(),
        rms_to_truth=rms,
        relative=spread(),
        ulps=replace(spread(14.5), median=0.5),
        to_eager=spread(8.25e-7),
        bound_there=5e-6,
        bound_used=Peak(bound, "row 8", 6),
        noise_used=Peak(0.5, "row 9", 4),
        noise_rms=0.125,
        bytes_differ=3,
        bytes_by=1,
        bytes_per_million=1500.0,
    )


def comparison(
    runtime: str, found: Deviations | None = None, twin: str | None = None
) -> Comparison:
    place = ("decoder", "x", "prior draws")
    return Comparison(*place, 500, 4, runtime, "passed", same_bits_as=twin, deviations=found)


def report(*comparisons: Comparison, checks: tuple[Check, ...] = ()) -> ParityReport:
    made_with = ({"torch": "2.15.0"}, {"architecture": "x86_64"})
    return ParityReport("mnist", "full", 10_000, *made_with, checks, comparisons)


EAGER = comparison("eager", replace(deviations(), to_eager=None, bytes_differ=None, bytes_by=None))
SCRIPT = replace(comparison("script", twin="eager"), must_equal="eager", bits_differ=0)
PROGRAM = comparison("program", twin="eager")
ORT = comparison("ort", deviations(2e-8))
BROKEN = replace(comparison("broken"), status="failed", detail="row 0 and on: out of order")
ABSENT = Check("jax", "decodes as eager does", "not run", "it is not installed")
CHECKS = (
    Check("decoder.onnx", "is valid ONNX", "passed", "Gemm, Relu"),
    Check("decoder.onnx", "has no external data", "failed", "it has x.bin"),
    Check("ort", "has the same bits in any batch", "measured", "0 of 2426 differ"),
    ABSENT,
)
IMAGE = np.array([[0.0, 0.5, 1.0], [0.25, 0.75, 1 / 255]], np.float32)
OTHER = IMAGE + np.array([[0, 2e-6, -1e-6], [1e-6, 0, 0]], np.float32)
FULL = replace(
    report(EAGER, SCRIPT, PROGRAM, ORT, BROKEN, checks=CHECKS),
    pairs=(Pair("decoder", "x", "prior draws", "eager", "ort", Peak(8e-7, "row 3", 1)),),
    gate_test=GateTest(17, 16, 4, 4, missed=("weights swapped",)),
    worst_cases=(WorstCase("decoder", "prior draws", "eager", "ort", "row 3", IMAGE, OTHER),),
)


class Page(HTMLParser):
    """Elements and text of a page that must close every tag in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in VOID
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # For a browser <td/> only opens: what is well-formed XML need not be the same page.
        assert tag in VOID
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def values(self, name: str) -> list[str]:
        """Every value of an attribute, wherever it is."""
        return [attrs[name] or "" for _, attrs in self.elements if name in attrs]


def page(found: ParityReport) -> Page:
    """The page, read as HTML; as XML it must be well-formed too."""
    html = to_html(found)
    ET.fromstring(html)
    html.encode()
    return Page(html)


def xml(found: ParityReport) -> ET.Element:
    return ET.fromstring(to_html(found))


def words(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def by_id(root: ET.Element, name: str) -> ET.Element:
    (found,) = root.findall(f".//*[@id='{name}']")
    return found


def numbers_table(found: ParityReport) -> list[list[str]]:
    """The first table: its heads, then a list of cells for each row."""
    table = xml(found).find(".//table")
    assert table is not None
    return [[words(cell) for cell in row] for row in table.iter("tr")]


def pixels(uri: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    kind, content = uri.split(",", 1)
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content, validate=True))))


def test_the_page_needs_no_other_file_and_no_script() -> None:
    html = to_html(FULL)
    found = page(FULL)
    assert all(v.startswith("data:image/png;base64,") for v in found.values("src"))
    assert all(v.startswith("#") for v in found.values("href"))
    assert {"script", "link", "iframe", "object"}.isdisjoint(tag for tag, _ in found.elements)
    assert not re.search(
        r"url\(|@import|https?:|//\w", html.replace("data:image/png;base64,//", "")
    )
    assert not [name for _, attrs in found.elements for name in attrs if name.startswith("on")]


def test_ids_are_unique_and_every_reference_arrives() -> None:
    found = page(FULL)
    ids = found.values("id")
    assert len(set(ids)) == len(ids)
    references = [value[1:] for value in found.values("href")] + found.values("aria-labelledby")
    assert references
    assert set(references) <= set(ids)


def test_everything_in_the_report_is_on_the_page() -> None:
    text = page(FULL).text
    for item in FULL.comparisons:
        assert item.runtime in text
        assert item.detail in text
    for check in FULL.checks:
        for part in (check.subject, check.statement, check.detail):
            assert part in text
    for name, value in {**FULL.versions, **FULL.machine}.items():
        assert name in text
        assert value in text


def test_the_verdict_comes_first_with_its_counts() -> None:
    verdict = words(next(iter(xml(FULL).iter("header"))))
    assert "✗ Failed 2 checks failed, 5 passed, 1 measured without a limit, 1 not run." in verdict
    honest = report(EAGER, checks=(CHECKS[0], ABSENT))
    verdict = words(next(iter(xml(honest).iter("header"))))
    assert "✓ Passed 2 checks passed, none failed, 1 not run." in verdict


def test_failures_and_what_was_not_run_are_listed_in_full() -> None:
    root = xml(FULL)
    failed = [words(item) for item in by_id(root, "failures").iter("li")]
    assert failed == [
        "✗ failed decoder.onnx: has no external data it has x.bin",
        "✗ failed broken: decoder x on prior draws row 0 and on: out of order",
    ]
    absent = [words(item) for item in by_id(root, "not-run").iter("li")]
    assert absent == ["○ not run jax: decodes as eager does it is not installed"]


def test_a_row_holds_the_runtimes_with_equal_bits_and_every_measure() -> None:
    heads, eager, ort, broken, detail = numbers_table(FULL)
    assert heads[1:] == [
        "largest |Δ| to eager",
        "largest |Δ| to truth",
        "rms",
        "99.9 % quantile",
        "ULP, median / largest",
        "share of noise limit",
        "share of proven bound",
        "bytes that differ, per million",
        "worst input",
    ]
    assert eager[0] == "class 1 eager = script = program script has the bits of eager, as it must"
    assert eager[1] == "reference"
    assert eager[8] == "–"
    assert ort == [
        "class 2 ort",
        "8.25·10⁻⁷",
        "9.00·10⁻⁷ of 5.00·10⁻⁶ there",
        "2.00·10⁻⁸ 0.125 σ",
        "2.00·10⁻⁷",
        "0.5 / 14.5",
        "50 %",
        "25 %",
        "1.50·10³ by 1 level",
        "row 7, element 5 nearest its bound: row 8, element 6",
    ]
    assert broken == ["class 3 broken ✗ failed", "nothing comparable"]
    assert detail == ["broken: row 0 and on: out of order"]


def test_a_class_has_failed_if_one_of_its_runtimes_has() -> None:
    script = replace(SCRIPT, must_equal="ort", bits_differ=12)
    script = replace(script, status="failed", detail="12 bits are not ort's")
    _, cells, detail, *_ = numbers_table(report(EAGER, script, PROGRAM, ORT))
    assert cells[0] == (
        "class 1 eager = script = program ✗ failed 12 values of script without the bits of ort"
    )
    assert detail == ["script: 12 bits are not ort's"]


def test_a_share_above_one_is_marked_in_words() -> None:
    bad = replace(ORT, status="failed", deviations=deviations(bound=1.8))
    _, _, cells, *_ = numbers_table(report(EAGER, bad))
    assert cells[7] == "▲ 180 %, above the limit"
    verdict = words(next(iter(xml(report(EAGER, bad)).iter("header"))))
    assert "Most of a proven bound used 180 % ort, decoder x, prior draws" in verdict


def test_what_is_not_a_number_is_the_worst_share_of_all() -> None:
    nan = comparison("nan", deviations(bound=math.nan))
    for order in ((ORT, nan), (nan, ORT)):
        verdict = words(next(iter(xml(report(*order)).iter("header"))))
        assert "Most of a proven bound used not a number nan, decoder x" in verdict


def test_runtimes_are_ranked_by_their_root_mean_square() -> None:
    other = replace(comparison("nan", deviations(math.nan)), status="failed")
    ranking = by_id(xml(report(EAGER, SCRIPT, other, ORT)), "closest")
    rows = [words(item) for item in ranking.iter("li")]
    assert rows == ["ort 2.00·10⁻⁸", "eager = script 4.00·10⁻⁸", "nan not a number"]
    bars = [bar.get("style") for bar in ranking.iterfind(".//li/span/span")]
    assert bars == ["width: 50.0%", "width: 100.0%", "width: 100.0%"]


def test_bars_are_as_high_as_their_counts_on_one_scale() -> None:
    twice = {-25: 500, -24: 2000}
    more = comparison("more", replace(deviations(), to_truth=spread(octaves=twice, zeros=0)))
    first, second = xml(report(EAGER, replace(more, count=1250))).iter("svg")
    plotted = BOTTOM - TOP
    # Shares of the values that were counted, which may be a sample, are compared.
    for svg, octaves, size in ((first, OCTAVES, 2000), (second, twice, 2500)):
        bars = list(svg.iter("rect"))
        expected = [plotted * (n / size) / (2000 / 2500) for _, n in sorted(octaves.items())]
        assert [float(bar.get("height", "")) for bar in bars] == pytest.approx(expected, abs=6e-4)
        bottoms = [float(bar.get("y", "")) + float(bar.get("height", "")) for bar in bars]
        assert bottoms == pytest.approx([BOTTOM] * len(bars), abs=2e-3)
        assert [words(bar) for bar in bars] == [
            f"{number_of(e)} … {number_of(e + 1)}: {n:,} value{'s' * (n != 1)}"
            for e, n in sorted(octaves.items())
        ]


def number_of(exponent: int) -> str:
    return "2⁻" + str(-exponent).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def test_bars_labels_and_lines_share_one_axis() -> None:
    (svg,) = xml(report(ORT)).iter("svg")
    step = (RIGHT - LEFT) / 9  # octaves −27 … −19: one of room below, two above
    bars = {words(bar).split()[0]: float(bar.get("x", "")) for bar in svg.iter("rect")}
    assert bars["2⁻²⁵"] == pytest.approx(LEFT + 2 * step, abs=1e-3)
    places = {label.text: float(label.get("x", "")) for label in svg.iter("text")}
    assert places["10⁻⁷"] == pytest.approx(LEFT + (math.log2(1e-7) + 27) * step, abs=1e-3)
    assert places["max"] - 3 == pytest.approx(LEFT + (math.log2(9e-7) + 27) * step, abs=1e-3)
    assert places["99.9 %"] + 3 == pytest.approx(LEFT + (math.log2(2e-7) + 27) * step, abs=1e-3)


def test_zeros_are_counted_and_a_runtime_without_deviation_has_no_histogram() -> None:
    captions = [words(c) for c in xml(report(ORT)).iter("figcaption")]
    assert captions == ["class 1 ort median 3.00·10⁻⁸, exact 12.4 % (249 zeros)"]
    exact = replace(deviations(), to_truth=spread(0.0, {}, zeros=2000))
    assert not list(xml(report(comparison("exact", exact))).iter("svg"))


def test_images_are_rounded_intensities_and_colours_say_who_is_brighter() -> None:
    a, b, difference = (img for img in xml(FULL).iter("img"))
    assert np.array_equal(pixels(a.get("src", "")), np.rint(255 * IMAGE).astype(np.uint8))
    assert np.array_equal(pixels(b.get("src", "")), np.rint(255 * OTHER).astype(np.uint8))
    colours = pixels(difference.get("src", ""))
    brighter, darker = OTHER > IMAGE, OTHER < IMAGE
    assert (colours[~(brighter | darker), 3] == 0).all()  # neutral: the page shows through
    assert {tuple(c) for c in colours[brighter][:, :3]} == {(224, 108, 0)}
    assert {tuple(c) for c in colours[darker][:, :3]} == {(26, 116, 222)}
    # 500,000 · 2·10⁻⁶ is full colour; 500,000 · 10⁻⁶ about half of it.
    delta = np.abs(OTHER.astype(np.float64) - IMAGE)
    assert np.array_equal(colours[..., 3], np.rint(255 * np.minimum(delta * 500_000, 1)))
    assert "difference × 500,000" in page(FULL).text
    assert a.get("alt") == "What eager draws for row 3 of prior draws, 2 × 3 pixels"
    assert difference.get("alt", "").startswith(
        "Their difference: 2 pixels brighter, 1 darker, 3 equal; at most"
    )


def test_one_outlier_does_not_make_all_other_differences_invisible() -> None:
    a = np.full((4, 5), 0.25, np.float32)
    b = a + np.float32(2**-20)
    b[2, 3] = 0.75
    found = replace(report(), worst_cases=(WorstCase("decoder", "draws", "a", "b", "row 0", a, b),))
    assert "difference × 1,000,000" in page(found).text  # not × 2
    *_, difference = (pixels(img.get("src", "")) for img in xml(found).iter("img"))
    assert set(difference[..., 3].flat) == {round(255 * 1e6 * 2**-20), 255}


def test_images_that_are_equal_or_not_numbers_have_triplets_too() -> None:
    case = WorstCase("decoder", "draws", "a", "b", "row 0", IMAGE, IMAGE)
    nan = np.array([[np.nan, np.inf, 1.0], [0.25, 2.0, -1.0]], np.float32)
    found = replace(report(), worst_cases=(case, replace(case, b=nan)))
    assert "no difference" in page(found).text
    assert "2 not a number" in page(found).text
    images = [pixels(img.get("src", "")) for img in xml(found).iter("img")]
    assert (images[2][..., 3] == 0).all()
    assert images[4].tolist() == [[0, 255, 255], [64, 255, 0]]
    assert {tuple(c) for c in images[5][~np.isfinite(nan)]} == {(214, 0, 196, 255)}


def test_runtimes_against_each_other_form_a_symmetric_matrix() -> None:
    (table,) = xml(FULL).findall(".//table[@class='matrix']")
    cells = [[words(cell) for cell in row] for row in table.iter("tr")]
    assert cells[1] == ["1 eager = script = program", "=", "8.00·10⁻⁷ row 3", "–"]
    assert cells[2] == ["2 ort", "8.00·10⁻⁷ row 3", "=", "–"]


def test_statuses_are_words_and_signs_not_only_colours() -> None:
    assert [words(item) for item in by_id(xml(FULL), "checks").iter("li")] == [
        "✓ passed is valid ONNX Gemm, Relu",
        "✗ failed has no external data it has x.bin",
        "◆ measured has the same bits in any batch 0 of 2426 differ",
        "○ not run decodes as eager does it is not installed",
    ]


def test_the_gate_s_own_test_names_what_it_missed() -> None:
    gate = [words(item) for item in by_id(xml(FULL), "gate").iter("li")]
    assert gate == [
        "✗ missed some 16 of 17 damaged copies were caught; not weights swapped.",
        "✓ accepted 4 of 4 honest copies were accepted.",
    ]
    assert "gate" not in page(report()).values("id")


def test_names_are_text_whatever_they_hold() -> None:
    odd = replace(ORT, network=ODD, output=ODD, inputs=ODD, runtime=ODD, status="failed")
    case = WorstCase(ODD, ODD, ODD, ODD, ODD, IMAGE, OTHER)
    found = replace(
        report(replace(odd, detail=ODD, must_equal=ODD, bits_differ=1)),
        subject=ODD,
        versions={ODD: ODD},
        checks=(Check(ODD, ODD, "not run", ODD),),
        pairs=(Pair(ODD, ODD, ODD, ODD, ODD, Peak(1.0, ODD, 0)),),
        gate_test=GateTest(1, 0, 1, 0, (ODD,), (ODD,)),
        worst_cases=(case,),
    )
    parsed = page(found)
    assert "b" not in {tag for tag, _ in parsed.elements}
    assert parsed.text.count(ODD_SHOWN) > 20
    assert any(ODD_SHOWN in value for value in parsed.values("alt"))


@settings(max_examples=50)
@given(st.text(st.characters(codec=None, exclude_characters="\r")))
def test_no_text_breaks_the_page(text: str) -> None:
    page(
        report(replace(ORT, runtime=text, detail=text), checks=(Check(text, text, "failed", text),))
    )


@pytest.mark.parametrize("value", [math.inf, math.nan, 0.0, 5e-324, 1e308])
def test_no_number_breaks_the_page(value: float) -> None:
    peak = Peak(value, "row 0", 0)
    every = Spread(peak, value, value, value, {-1074: 1, 1023: 1}, 0)
    found = Deviations(
        every, value, every, every, every, value, peak, peak, value, 10**9, 255, value
    )
    pair = replace(FULL.pairs[0], peak=peak)
    text = page(replace(report(EAGER, comparison("odd", found)), pairs=(pair,))).text
    assert number(value) in text


def test_what_is_not_known_is_left_open() -> None:
    bare = Deviations(spread(), 1e-8, spread(), spread())
    heads, cells = numbers_table(report(comparison("bare", bare)))
    assert "bytes that differ, per million" not in heads
    assert cells[1] == "reference"
    assert cells[6:8] == ["–", "–"]
    text = page(report(comparison("bare", bare))).text
    assert "Most of a" not in text


def test_an_empty_report_is_a_page() -> None:
    found = page(report())
    assert "Passed" in found.text
    assert found.values("src") == []


def test_twins_of_nobody_are_shown_too() -> None:
    assert "equal bits to nobody" in page(report(comparison("c", twin="nobody"))).text


def test_empty_sets_of_inputs_divide_nothing_by_zero() -> None:
    assert "ort" in page(report(replace(ORT, count=0))).text


def test_other_models_have_other_networks_and_outputs() -> None:
    outputs = [
        replace(ORT, network="resnet", output=name, inputs=inputs)
        for name in ("logits", "probs", "features")
        for inputs in ("random", "edges")
    ]
    root = xml(report(*outputs))
    titles = [words(h) for h in root.iter("h2")]
    resnet = [title.split()[1] for title in titles if title.startswith("resnet")]
    assert resnet == ["logits", "probs", "features"]
    # The first inputs of each output are unfolded; of the others, those with a failure.
    assert [d.get("open") for d in root.iter("details")] == ["open", None] * 3
    failed = replace(outputs[1], status="failed")
    assert [d.get("open") for d in xml(report(outputs[0], failed)).iter("details")] == ["open"] * 2


def test_the_same_report_gives_the_same_page() -> None:
    assert to_html(FULL) == to_html(FULL)


def test_numbers_have_three_digits() -> None:
    plain = {0.0: "0", 1.0: "1", 0.25: "0.25", -0.5: "−0.5", 123.4: "123", 999.4: "999"}
    powers = {999.6: "1.00·10³", 8.059e-7: "8.06·10⁻⁷", -8.059e-7: "−8.06·10⁻⁷", 1e20: "1.00·10²⁰"}
    others = {math.inf: "∞", -math.inf: "−∞", math.nan: "not a number"}
    for value, text in (plain | powers | others).items():
        assert number(value) == text


def test_a_share_just_above_its_limit_does_not_read_as_at_it() -> None:
    assert percent(1.0) == "100\N{NO-BREAK SPACE}%"
    assert percent(1.0001) == "just above 100\N{NO-BREAK SPACE}%"
    assert percent(math.inf) == "∞"
