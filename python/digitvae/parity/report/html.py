"""A report as one page: the template reads the report, with the help of what is here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitvae.base.page import render
from digitvae.parity.compare.statistics import to_pixels
from digitvae.parity.report.report import (
    Check,
    Comparison,
    Pair,
    ParityReport,
    Peak,
    Status,
    WorstCase,
    by,
    classes,
)

SEVERITY: tuple[Status, ...] = ("passed", "measured", "not run", "failed")
"""Several have the gravest status that one of them has."""

LEFT, RIGHT, TOP, BOTTOM = 8.0, 312.0, 18.0, 98.0
"""The plot of a histogram, in the units of the viewBox that the template gives it."""

_BRIGHTER = (224, 108, 0)
_DARKER = (26, 116, 222)
_NOT_A_NUMBER = (214, 0, 196)

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def to_html(report: ParityReport) -> str:
    """A whole page, in UTF-8 once it is encoded.

    Args:
        report: What to show.
    """
    return render(
        "parity/report/report.html.jinja",
        {
            "axes": Axes.of,
            "by": by,
            "classes": classes,
            "difference": _difference,
            "gravest": _gravest,
            "grey": _grey,
            "matrix": _matrix,
            "number": number,
            "percent": percent,
            "ranked": _ranked,
            "superscript": _superscript,
            "worst": _worst,
        },
        report=report,
    )


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


def _gravest(items: Iterable[Check | Comparison]) -> Status:
    return max((item.status for item in items), key=SEVERITY.index)


def _ranked(found: Sequence[Sequence[Comparison]]) -> list[tuple[Sequence[Comparison], float]]:
    """Classes by their root mean square, and its share of the largest that is a number."""
    known = [
        (math.inf if math.isnan(d.rms_to_truth) else d.rms_to_truth, members)
        for members in found
        if (d := members[0].deviations)
    ]
    largest = max((rms for rms, _ in known if rms < math.inf), default=0.0) or 1.0
    known.sort(key=lambda pair: pair[0])
    return [(members, min(rms / largest, 1.0)) for rms, members in known]


class Axes(NamedTuple):
    """The axes that all histograms of one output on one set of inputs share.

    Attributes:
        low: Octave at the left end.
        high: Octave at the right end.
        top: Share of the values, of a bar that is as high as the plot.
    """

    low: int
    high: int
    top: float

    @classmethod
    def of(cls, found: Sequence[Sequence[Comparison]]) -> Axes | None:
        """Those that hold all classes; ``None`` if no class deviates anywhere."""
        spreads = [d.to_truth for members in found if (d := members[0].deviations)]
        octaves = [e for spread in spreads for e, count in spread.octaves.items() if count]
        if not octaves:
            return None
        # Octaves are counted in a sample of the values.
        top = max(n / spread.sampled for spread in spreads for n in spread.octaves.values())
        # Room for the words at the lines: they stand left of the quantile and right of the peak.
        return cls(min(octaves) - 1, max(octaves) + 2, top)

    @property
    def step(self) -> float:
        """Width of an octave."""
        return (RIGHT - LEFT) / (self.high - self.low)

    def x(self, octave: float) -> float:
        """Where an octave begins."""
        return LEFT + (octave - self.low) * self.step

    def line(self, value: float) -> float | None:
        """Where a value is, if that is within the plot."""
        within = 2.0**self.low < value < 2.0 ** min(self.high, 1023)
        return self.x(math.log2(value)) if within else None

    def height(self, count: int, sampled: int) -> float:
        """Height of a bar that stands for so many values of so many."""
        return (BOTTOM - TOP) * count / sampled / self.top

    @property
    def ticks(self) -> list[tuple[str, float]]:
        """Labels, and where they are."""
        first = math.ceil(self.low * math.log10(2))
        last = math.floor(self.high * math.log10(2))
        every = max(1, math.ceil((last - first) / 6))
        decades = range(last, first - 1, -every)
        ticks = [(f"10{_superscript(k)}", self.x(k / math.log10(2))) for k in decades]
        if len(ticks) < 2:  # so few octaves that each can have its label
            octaves = range(self.low, self.high + 1)
            ticks = [(f"2{_superscript(e)}", self.x(e)) for e in octaves]
        return ticks


def _matrix(pairs: Sequence[Pair]) -> dict[tuple[str, str], tuple[Peak, float]]:
    """Each peak both ways, and from 0 to 1 how dark its cell is, on a logarithmic scale."""
    logs = [math.log(p.peak.value) for p in pairs if 0 < p.peak.value < math.inf]
    low, high = min(logs, default=0.0), max(logs, default=0.0)

    def tint(value: float) -> float:
        if value == 0:
            return 0.0
        if not value < math.inf:
            return 1.0
        return round((math.log(value) - low) / (high - low), 3) if high > low else 0.5

    return {
        ends: (pair.peak, tint(pair.peak.value))
        for pair in pairs
        for ends in ((pair.a, pair.b), (pair.b, pair.a))
    }


def _worst(comparisons: Iterable[Comparison], measure: str) -> tuple[Peak, Comparison] | None:
    """The largest share of a limit that was used anywhere, and by whom."""
    found = ((getattr(c.deviations, measure, None), c) for c in comparisons)
    known = [(peak, c) for peak, c in found if peak is not None]
    # What is not a number is worse than any number.
    return max(known, key=lambda pair: (math.isnan(pair[0].value), pair[0].value), default=None)


class Difference(NamedTuple):
    """A picture of the difference of two images, and what is to be said of it.

    Attributes:
        pixels: uint8 [height, width, 4].
        factor: Amplification.
        largest: The largest |Δ| that is a number.
        brighter: Pixels that are brighter in the second image.
        darker: Pixels that are darker.
        equal: Pixels that are equal.
        not_numbers: Pixels whose difference is not a number.
    """

    pixels: NDArray[np.uint8]
    factor: float
    largest: float
    brighter: int
    darker: int
    equal: int
    not_numbers: int


def _difference(case: WorstCase) -> Difference:
    difference = case.b.astype(np.float64) - case.a
    known = np.isfinite(difference)
    brighter, darker = known & (difference > 0), known & (difference < 0)
    sizes = np.abs(difference[brighter | darker])
    # Full colour for at most the largest tenth: one outlier must not make all others invisible.
    factor = _nice(1 / float(np.quantile(sizes, 0.9))) if sizes.size else 1.0
    pixels = np.zeros((*difference.shape, 4), np.uint8)  # no difference: the page shows through
    pixels[brighter, :3] = _BRIGHTER
    pixels[darker, :3] = _DARKER
    pixels[known, 3] = np.rint(255 * np.minimum(np.abs(difference[known]) * factor, 1))
    pixels[~known] = (*_NOT_A_NUMBER, 255)
    masks = (brighter, darker, known & (difference == 0), ~known)
    counts = (int(np.count_nonzero(mask)) for mask in masks)
    return Difference(pixels, factor, float(sizes.max(initial=0.0)), *counts)


def _nice(value: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above a number."""
    exponent = math.floor(math.log10(value))
    candidates = (m * 10.0**e for e in (exponent - 1, exponent) for m in (1, 2, 5))
    return max(c for c in candidates if c <= value * (1 + 1e-9))


def _grey(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Intensities as bytes; what is not a number is black."""
    return to_pixels(np.nan_to_num(image).clip(0.0, 1.0))
