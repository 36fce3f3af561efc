"""Results as a picture: digits per second by request size, and whole processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.generation.contenders import NAMES, OURS
from benchmarks.generation.results import count

if TYPE_CHECKING:
    from typing import BinaryIO

    from benchmarks.generation.results import Results

# Okabe and Ito's colours, which people with colour-blindness can tell apart; markers help them.
_COLOURS = (
    "#000000",
    "#d55e00",
    "#0072b2",
    "#56b4e9",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#999999",
)
_MARKERS = ("o", "s", "^", "v", "D", "P", "X", "*")
_WIDTH, _PANEL_HEIGHT, _BAR_HEIGHT = 11.0, 4.4, 0.24  # inches


def plot(results: Results, file: BinaryIO) -> None:
    """Draw what was measured as a PNG.

    Args:
        results: With warm times, whole processes, or both.
        file: Where to.

    Raises:
        ValueError: There is nothing to draw.
    """
    threads = sorted({one.threads for one in results.warm})
    bars = len(results.process)
    counts = sorted({one.digits for one in results.process})
    if not threads and not bars:
        raise ValueError("there is nothing to plot: neither warm generation nor whole processes")
    heights = [_PANEL_HEIGHT] * bool(threads) + [1.2 + _BAR_HEIGHT * bars / len(counts)] * bool(
        bars
    )
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        panels = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        if threads:
            _draw_warm(panels[0], results, threads)
        if bars:
            _draw_process(panels[-1], results, counts)
        figure.savefig(file, format="png", dpi=150)


def _draw_warm(panel: Any, results: Results, all_threads: list[int]) -> None:
    axes = panel.subplots(1, len(all_threads), sharey=True, squeeze=False)[0]
    for axis, threads in zip(axes, all_threads, strict=True):
        for name, title in results.titles(results.warm).items():
            mine = [s for s in results.warm if (s.contender, s.threads) == (name, threads)]
            mine.sort(key=lambda one: one.digits)
            axis.plot(
                [one.digits for one in mine],
                [one.digits / one.median for one in mine],
                label=title,
                **_style(name),
            )
        limit = results.fma_limit(threads)
        if limit:
            digits = limit / results.operations_a_digit
            axis.axhline(digits, color="#000000", linestyle=":", linewidth=1)
            axis.annotate(
                "limit of dense networks",
                (0.01, digits),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
            )
        axis.set(xscale="log", yscale="log", xlabel="digits a request")
        axis.set_title(f"Warm, into uint8 memory, {count(threads)}")
        axis.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes[0].set_ylabel("digits per second")
    handles, labels = axes[0].get_legend_handles_labels()
    panel.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)


def _draw_process(panel: Any, results: Results, counts: list[int]) -> None:
    axes = panel.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    titles = results.titles(results.process)
    names = list(reversed(titles))  # bars are stacked from below
    for axis, digits in zip(axes, counts, strict=True):
        seconds = {s.contender: s.median for s in results.process if s.digits == digits}
        for place, name in enumerate(names):
            if name not in seconds:
                continue
            axis.barh(place, seconds[name], color=_style(name)["color"], height=0.7)
            axis.annotate(
                f"{seconds[name]:.3g} s",
                (seconds[name], place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
            )
        axis.set_yticks(range(len(names)), [titles[name] for name in names])
        axis.set_xlim(0, max(seconds.values()) * 1.2)
        axis.set_xlabel("seconds")
        axis.set_title(f"Whole process, {count(digits, 'digit')} to a file")


def _style(name: str) -> dict[str, Any]:
    place = NAMES.index(name) if name in NAMES else len(NAMES) - 1
    return {
        "color": _COLOURS[place],
        "marker": _MARKERS[place],
        "markersize": 5,
        "linewidth": 2.4 if name == OURS else 1.2,
        "zorder": 3 if name == OURS else 2,
    }
