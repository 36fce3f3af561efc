"""Pages of HTML that need nothing else: no network, no script, no second file.

They are well-formed XML too, so that programs can read them with any parser. Templates are named by
their path in this package; each extends ``base/page.html.jinja``.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from digitvae.base.markup import shown


def render(template: str, filters: dict[str, Callable[..., Any]], **values: object) -> str:
    """A whole page, in UTF-8 once it is encoded.

    Args:
        template: ``parity/report/report.html.jinja``, say.
        filters: Functions by their names in the template; beside them it has ``data_url``.
        values: Variables by their names in the template.
    """
    environment = Environment(
        loader=PackageLoader("digitvae", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters, data_url=_data_url)
    return environment.get_template(template).render(values)


def _finalize(value: Any) -> Any:
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def png(image: Image.Image) -> bytes:
    """A picture as a PNG file, as small as Pillow makes it."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _data_url(pixels: NDArray[np.uint8]) -> str:
    """uint8 [height, width] or [height, width, 4] as the address of a picture."""
    content = base64.b64encode(png(Image.fromarray(pixels))).decode()
    return f"data:image/png;base64,{content}"
