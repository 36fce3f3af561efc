"""Model cards, as the Hugging Face hub reads them."""

from __future__ import annotations

from typing import Any

from huggingface_hub import ModelCard


def front_matter(text: str) -> dict[str, Any]:
    """As the hub's own library reads it."""
    found: dict[str, Any] = ModelCard(text).data.to_dict()  # type: ignore[no-untyped-call]
    return found
