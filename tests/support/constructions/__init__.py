"""Models that people export, their honest ONNX files, and faults to apply to these.

``tests.support.constructions:NAME`` is a factory, as ``digitvae verify`` takes it.
"""

from tests.support.constructions.faults import FAULTS
from tests.support.constructions.files import CANNOT, Exporter, exported
from tests.support.constructions.zoo import CONSTRUCTIONS, Construction

__all__ = ["CANNOT", "CONSTRUCTIONS", "FAULTS", "Construction", "Exporter", "exported"]

globals().update({name: construction.make for name, construction in CONSTRUCTIONS.items()})
