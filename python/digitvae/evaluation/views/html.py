"""A report as one HTML page that needs nothing else: no network, no script, no second file.

The page is also well-formed XML, so that programs can read it with any parser.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from digitvae.base.markup import shown
from digitvae.evaluation.views.tables import tables
from digitvae.vae.heldout import ACTIVE_VARIANCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digitvae.evaluation.report import EvaluationReport, Picture

_CHART_HEIGHT = 120.0


class Bar(NamedTuple):
    """One latent in a chart, in the units of the template's viewBox: top and height."""

    latent: int
    nats: float
    top: float
    height: float


class Figure(NamedTuple):
    """A picture with its PNG as a data URL."""

    picture: Picture
    url: str


def to_html(reports: Sequence[EvaluationReport]) -> str:
    """A whole page, in UTF-8 once it is encoded.

    Args:
        reports: Of one model or of several, with pictures.
    """
    environment = Environment(
        loader=PackageLoader("digitvae.evaluation.views", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        reports=reports,
        tables=tables(reports),
        charts=[bars(report) for report in reports],
        figures=[[_figure(picture) for picture in report.pictures] for report in reports],
        active_variance=ACTIVE_VARIANCE,
        chart_height=_CHART_HEIGHT,
    )


def _finalize(value: Any) -> Any:
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def bars(report: EvaluationReport) -> list[Bar]:
    """KL of each latent, the largest first and as high as the chart; none for an autoencoder."""
    if report.latents is None:
        return []
    nats = report.latents.kl
    top = max(*nats, 1e-9)
    order = sorted(range(len(nats)), key=lambda i: -nats[i])
    heights = ((i, _CHART_HEIGHT * (max(nats[i], 0) / top)) for i in order)
    return [Bar(i, nats[i], _CHART_HEIGHT - height, height) for i, height in heights]


def _figure(picture: Picture) -> Figure:
    buffer = io.BytesIO()
    Image.fromarray(picture.pixels).save(buffer, "PNG", optimize=True)
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Figure(picture, url)
