"""All pictures of a report under each other, in one PNG."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from digitvae.base.page import png
from digitvae.evaluation.report import EvaluationReport, Picture

_SCALE = 2
_MARGIN = 16
_TITLE, _CAPTION = 20, 14
_LABEL = 20
"""Width of the column that labels rows."""
_PAPER, _INK, _QUIET = 255, 20, 100


def to_png(reports: Sequence[EvaluationReport]) -> bytes:
    """One page of pictures, those of each report after the other.

    Args:
        reports: With pictures, at least one.
    """
    return sheet(
        [
            picture
            if len(reports) == 1
            else picture._replace(title=f"{report.bundle}: {picture.title}")
            for report in reports
            for picture in report.pictures
        ]
    )


def sheet(pictures: Sequence[Picture], scale: int = _SCALE) -> bytes:
    """Pictures under each other, each below its title and caption, as PNG.

    Args:
        pictures: At least one.
        scale: Side of the square that one pixel becomes.
    """
    heading = _TITLE + _CAPTION + 18
    widths = [scale * p.pixels.shape[1] + (_LABEL if p.rows else 0) for p in pictures]
    width = max(widths) + 2 * _MARGIN
    height = _MARGIN + sum(heading + scale * len(p.pixels) + _MARGIN for p in pictures)
    page = Image.new("L", (width, height), _PAPER)
    pen = ImageDraw.Draw(page)
    top = _MARGIN
    for title, caption, pixels, rows in pictures:
        pen.text((_MARGIN, top), title, _INK, ImageFont.load_default(_TITLE))
        pen.text((_MARGIN, top + _TITLE + 6), caption, _QUIET, ImageFont.load_default(_CAPTION))
        top += heading
        image = Image.fromarray(pixels)
        size = (scale * image.width, scale * image.height)
        left = _MARGIN + (_LABEL if rows else 0)
        page.paste(image.resize(size, Image.Resampling.NEAREST), (left, top))
        for i, label in enumerate(rows):
            middle = top + (i + 0.5) * size[1] / len(rows)
            font = ImageFont.load_default(_CAPTION)
            pen.text((_MARGIN, middle), label, _QUIET, font, anchor="lm")
        top += size[1] + _MARGIN
    return png(page)
