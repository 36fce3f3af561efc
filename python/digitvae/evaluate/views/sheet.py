"""All pictures of a report under each other, in one PNG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digitvae.evaluate.report import EvaluationReport

_SCALE = 2
_MARGIN = 16
_TITLE, _CAPTION = 20, 14
_PAPER, _INK, _QUIET = 255, 20, 100


def to_png(reports: Sequence[EvaluationReport]) -> bytes:
    """One page of pictures, those of each report after the other.

    Args:
        reports: With pictures, at least one.
    """
    blocks = [
        (title if len(reports) == 1 else f"{report.bundle}: {title}", caption, pixels)
        for report in reports
        for title, caption, pixels in report.pictures
    ]
    heading = _TITLE + _CAPTION + 18
    width = max(_SCALE * pixels.shape[1] for *_, pixels in blocks) + 2 * _MARGIN
    height = _MARGIN + sum(heading + _SCALE * len(pixels) + _MARGIN for *_, pixels in blocks)
    page = Image.new("L", (width, height), _PAPER)
    pen = ImageDraw.Draw(page)
    top = _MARGIN
    for title, caption, pixels in blocks:
        pen.text((_MARGIN, top), title, _INK, ImageFont.load_default(_TITLE))
        pen.text((_MARGIN, top + _TITLE + 6), caption, _QUIET, ImageFont.load_default(_CAPTION))
        sheet = Image.fromarray(pixels)
        size = (_SCALE * sheet.width, _SCALE * sheet.height)
        page.paste(sheet.resize(size, Image.Resampling.NEAREST), (_MARGIN, top + heading))
        top += heading + size[1] + _MARGIN
    buffer = io.BytesIO()
    page.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
