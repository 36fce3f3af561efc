"""A report as one HTML page that needs nothing else: no network, no script, no second file.

The page is also well-formed XML, so that programs can read it with any parser.
"""

from __future__ import annotations

import base64
import functools
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from digitvae.base.markup import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from digitvae.parity.report import (
        Check,
        Comparison,
        Deviations,
        Pair,
        ParityReport,
        Peak,
        Status,
        WorstCase,
    )

SEVERITY: tuple[Status, ...] = ("passed", "measured", "not run", "failed")
"""A class of runtimes has the gravest status of its members."""

LEFT, RIGHT, TOP, BOTTOM = 8.0, 312.0, 18.0, 98.0
"""The plot of a histogram, in the units of the viewBox that the template gives it."""

_BRIGHTER = (224, 108, 0)
_DARKER = (26, 116, 222)
_NOT_A_NUMBER = (214, 0, 196)

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Row:
    """Runtimes whose outputs have equal bits, so that one row of numbers speaks for all."""

    members: tuple[Comparison, ...]
    deviations: Deviations | None

    @property
    def label(self) -> str:
        """All of them, as an equation."""
        return " = ".join(member.runtime for member in self.members)

    @property
    def status(self) -> Status:
        """The gravest status among them."""
        return max((member.status for member in self.members), key=SEVERITY.index)

    @property
    def size(self) -> int:
        """How many values each of them computed, to be divided by: at least 1."""
        return self.members[0].count * self.members[0].values or 1


@dataclass(frozen=True)
class Bar:
    """One octave of a histogram: deviations in [2ᵉ, 2ᵉ⁺¹)."""

    x: float
    y: float
    width: float
    height: float
    octave: int
    count: int


@dataclass(frozen=True)
class Panel:
    """The histogram of one class; lines mark the 99.9 % quantile and the peak."""

    number: int
    row: Row
    bars: tuple[Bar, ...]
    lines: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Histogram:
    """Panels on the same axes; ``ticks`` are labels and their places, ``top`` a share of values."""

    panels: tuple[Panel, ...]
    ticks: tuple[tuple[str, float], ...]
    top: float


@dataclass(frozen=True)
class Matrix:
    """Runtimes against each other: a peak, or ``None`` where bits are equal or unknown.

    ``tints`` say how dark a cell is, from 0 to 1 on the logarithmic scale of the matrix.
    """

    labels: tuple[str, ...]
    peaks: tuple[tuple[Peak | None, ...], ...]
    tints: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Place:
    """Everything about one output on one set of inputs."""

    anchor: str
    inputs: str
    rows: tuple[Row, ...]
    histogram: Histogram | None
    matrix: Matrix | None

    @property
    def status(self) -> Status:
        """The gravest status of all runtimes."""
        return max((row.status for row in self.rows), key=SEVERITY.index, default="measured")


@dataclass(frozen=True)
class Output:
    """One output of a network; ``ranking`` holds classes on the first inputs, best first."""

    anchor: str
    name: str
    places: tuple[Place, ...]
    ranking: tuple[Row, ...]

    @property
    def status(self) -> Status:
        """The gravest status on any inputs."""
        return max((place.status for place in self.places), key=SEVERITY.index)

    def bar(self, row: Row) -> float:
        """A row's root mean square as a share of the largest that is a number."""
        finite = [value for value in map(_rms, self.ranking) if value < math.inf]
        return min(_rms(row) / (max(finite, default=0.0) or 1.0), 1.0)


@dataclass(frozen=True)
class Triplet:
    """Two images and their difference, as data URIs; ``width`` is a multiple of the pixels'."""

    case: WorstCase
    a: str
    b: str
    difference: str
    factor: float
    largest: float
    brighter: int
    darker: int
    equal: int
    not_numbers: int
    width: int


def to_html(report: ParityReport) -> str:
    """A whole page, in UTF-8 once it is encoded.

    Args:
        report: What to show.
    """
    everything: tuple[Check | Comparison, ...] = (*report.checks, *report.comparisons)
    statuses = [item.status for item in everything]
    subjects = dict.fromkeys(check.subject for check in report.checks)
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            report=report,
            counts={status: statuses.count(status) for status in SEVERITY},
            outputs=_outputs(report),
            runtimes=list(dict.fromkeys(c.runtime for c in report.comparisons)),
            absent=[item for item in everything if item.status == "not run"],
            of_bound=_worst(report, "bound_used"),
            of_noise=_worst(report, "noise_used"),
            triplets=[_triplet(case) for case in report.worst_cases],
            subjects=[(s, [c for c in report.checks if c.subject == s]) for s in subjects],
        )
    )


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("digitvae.parity.views", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, percent=percent, superscript=_superscript)
    return environment


def number(value: float) -> str:
    """Three digits, with a power of ten where zeros would have to be counted.

    Args:
        value: Any number, also one that is none.
    """
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0 or 0.01 <= abs(value) < 999.5:
        return f"{value:.3g}".replace("-", "−")
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.replace('-', '−')}·10{_superscript(int(exponent))}"


def percent(share: float) -> str:
    """A share of one, in percent.

    Args:
        share: 1 is everything.
    """
    # A share of 1.0001 is above its limit and must not read as if it were at it.
    text = number(100 * share)
    if share > 1 and text == "100":
        text = "just above 100"
    return f"{text}\N{NO-BREAK SPACE}%" if math.isfinite(share) else text


def _superscript(exponent: int) -> str:
    return str(exponent).translate(_SUPERSCRIPTS)


def _finalize(value: Any) -> Any:
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _outputs(report: ParityReport) -> list[Output]:
    everything: tuple[Comparison | Pair, ...] = (*report.comparisons, *report.pairs)
    outputs = []
    for i, (network, output) in enumerate(dict.fromkeys((e.network, e.output) for e in everything)):
        of_output = [e for e in everything if (e.network, e.output) == (network, output)]
        places = []
        for j, inputs in enumerate(dict.fromkeys(e.inputs for e in of_output)):
            key = (network, output, inputs)
            rows = _rows([c for c in report.comparisons if _key(c) == key])
            pairs = [pair for pair in report.pairs if _key(pair) == key]
            anchor = f"output-{i + 1}-{j + 1}"
            places.append(Place(anchor, inputs, rows, _histogram(rows), _matrix(rows, pairs)))
        ranked = sorted((row for row in places[0].rows if row.deviations), key=_rms)
        name = f"{network} {output}"
        outputs.append(Output(f"output-{i + 1}", name, tuple(places), tuple(ranked)))
    return outputs


def _key(item: Comparison | Pair) -> tuple[str, str, str]:
    return item.network, item.output, item.inputs


def _rms(row: Row) -> float:
    """The root mean square; last in order where it is not a number."""
    value = math.inf if row.deviations is None else row.deviations.rms_to_truth
    return math.inf if math.isnan(value) else value


def _rows(comparisons: Sequence[Comparison]) -> tuple[Row, ...]:
    """Classes of equal bits, in the order of their first members."""
    by_runtime = {c.runtime: c for c in comparisons}
    classes: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        first, seen = comparison, {comparison.runtime}
        # A twin may name a twin. Whoever names itself, or one that is not there, stands alone.
        while first.same_bits_as in by_runtime and first.same_bits_as not in seen:
            first = by_runtime[first.same_bits_as]
            seen.add(first.runtime)
        classes.setdefault(first.runtime, []).append(comparison)
    return tuple(
        Row(tuple(members), next((m.deviations for m in members if m.deviations), None))
        for members in classes.values()
    )


def _histogram(rows: Sequence[Row]) -> Histogram | None:
    """All on the same axes, or nothing if no class deviates anywhere."""
    shown = [(i + 1, row, row.deviations) for i, row in enumerate(rows) if row.deviations]
    octaves = [e for _, _, d in shown for e, count in d.to_truth.octaves.items() if count]
    if not octaves:
        return None
    # Room for the words at the lines: they stand left of the quantile and right of the peak.
    low, high = min(octaves) - 1, max(octaves) + 2
    step = (RIGHT - LEFT) / (high - low)
    # Octaves are counted in a sample of the values.
    sizes = {i: d.to_truth.zeros + sum(d.to_truth.octaves.values()) for i, _, d in shown}
    top = max(n / sizes[i] for i, _, d in shown for n in d.to_truth.octaves.values())

    def place(octave: float) -> float:
        return LEFT + (octave - low) * step

    panels = []
    for i, row, deviations in shown:
        spread = deviations.to_truth
        bars = []
        for e, count in sorted(spread.octaves.items()):
            height = (BOTTOM - TOP) * count / sizes[i] / top
            bars.append(Bar(place(e), BOTTOM - height, 0.94 * step, height, e, count))
        lines = [
            (name, place(math.log2(value)))
            for name, value in (("99.9 %", spread.q999), ("max", spread.peak.value))
            if 2.0**low < value < 2.0 ** min(high, 1023)
        ]
        panels.append(Panel(i, row, tuple(bars), tuple(lines)))
    first, last = math.ceil(low * math.log10(2)), math.floor(high * math.log10(2))
    every = max(1, math.ceil((last - first) / 6))
    decades = range(last, first - 1, -every)
    ticks = [(f"10{_superscript(k)}", place(k / math.log10(2))) for k in decades]
    if len(ticks) < 2:  # so few octaves that each can have its label
        ticks = [(f"2{_superscript(e)}", place(e)) for e in range(low, high + 1)]
    return Histogram(tuple(panels), tuple(ticks), top)


def _matrix(rows: Sequence[Row], pairs: Sequence[Pair]) -> Matrix | None:
    if not pairs:
        return None
    index = {member.runtime: i for i, row in enumerate(rows) for member in row.members}
    labels = [row.label for row in rows]
    for name in (name for pair in pairs for name in (pair.a, pair.b)):
        if name not in index:
            index[name] = len(labels)
            labels.append(name)
    peaks: list[list[Peak | None]] = [[None] * len(labels) for _ in labels]
    for pair in pairs:
        for i, j in ((index[pair.a], index[pair.b]), (index[pair.b], index[pair.a])):
            other = peaks[i][j]
            if other is None or not pair.peak.value <= other.value:
                peaks[i][j] = pair.peak
    logs = [math.log(p.value) for line in peaks for p in line if p and 0 < p.value < math.inf]
    low, high = min(logs, default=0.0), max(logs, default=0.0)

    def tint(peak: Peak | None) -> float:
        if peak is None or peak.value == 0:
            return 0.0
        if not peak.value < math.inf:
            return 1.0
        return (math.log(peak.value) - low) / (high - low) if high > low else 0.5

    tints = tuple(tuple(round(tint(peak), 3) for peak in line) for line in peaks)
    return Matrix(tuple(labels), tuple(map(tuple, peaks)), tints)


def _worst(report: ParityReport, measure: str) -> tuple[Peak, Comparison] | None:
    """The largest share of a limit that was used anywhere, and by whom."""
    # The noise limit binds typical inputs only; others are beyond it and right.
    relevant = (c for c in report.comparisons if c.typical or measure != "noise_used")
    found = ((getattr(c.deviations, measure, None), c) for c in relevant)
    known = [(peak, c) for peak, c in found if peak is not None]
    # What is not a number is worse than any number.
    return max(known, key=lambda pair: (math.isnan(pair[0].value), pair[0].value), default=None)


def _triplet(case: WorstCase) -> Triplet:
    difference = case.b.astype(np.float64) - case.a
    known = np.isfinite(difference)
    sizes = np.abs(difference[known & (difference != 0)])
    # Full colour for at most the largest tenth: one outlier must not make all others invisible.
    factor = _nice(1 / float(np.quantile(sizes, 0.9))) if sizes.size else 1.0
    pixels = np.zeros((*difference.shape, 4), np.uint8)  # no difference: the page shows through
    pixels[difference > 0, :3] = _BRIGHTER
    pixels[difference < 0, :3] = _DARKER
    pixels[known, 3] = np.rint(255 * np.minimum(np.abs(difference[known]) * factor, 1))
    pixels[~known] = (*_NOT_A_NUMBER, 255)
    return Triplet(
        case=case,
        a=_png(_grey(case.a)),
        b=_png(_grey(case.b)),
        difference=_png(pixels),
        factor=factor,
        largest=float(sizes.max(initial=0.0)),
        brighter=int((difference[known] > 0).sum()),
        darker=int((difference[known] < 0).sum()),
        equal=int((difference[known] == 0).sum()),
        not_numbers=int((~known).sum()),
        width=case.a.shape[1] * max(1, 112 // max(case.a.shape)),
    )


def _nice(value: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above a number."""
    exponent = math.floor(math.log10(value))
    candidates = (m * 10.0**e for e in (exponent - 1, exponent) for m in (1, 2, 5))
    return max(c for c in candidates if c <= value * (1 + 1e-9))


def _grey(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    values = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0)
    grey: NDArray[np.uint8] = np.rint(np.float32(255) * np.clip(values, 0, 1)).astype(np.uint8)
    return grey


def _png(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
