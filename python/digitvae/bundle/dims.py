"""The sizes of a model: what ``dims`` of a manifest says."""

from __future__ import annotations

from typing import Any, NamedTuple


class Dims(NamedTuple):
    """Height and width of the images, number of latents, units of each hidden layer."""

    height: int
    width: int
    latents: int
    hidden: int

    @property
    def pixels(self) -> int:
        """Pixels of an image."""
        return self.height * self.width

    @classmethod
    def of_manifest(cls, manifest: dict[str, Any]) -> Dims:
        """The sizes that a checked manifest gives."""
        dims = manifest["dims"]
        return cls(dims["height"], dims["width"], dims["latent"], dims["hidden"])

    def for_manifest(self) -> dict[str, int]:
        """``dims`` of a manifest."""
        return {
            "latent": self.latents,
            "hidden": self.hidden,
            "height": self.height,
            "width": self.width,
        }


DEFAULT_DIMS = Dims(height=28, width=28, latents=40, hidden=512)
"""The sizes of a model that is trained with no others named: images as MNIST's."""
