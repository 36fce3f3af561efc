"""ONNX files that no bundle may hold, made of the shipped ones.

`MODELS` has a maker for each, by what is wrong with it. ``MODELS[name](role, secret)`` gives the
bytes: ``role`` is one of `ROLES`; ``secret`` is a file of at least 784 bytes that the model must
not read. Where a runtime runs such a model, most give that file as the first output (each byte
divided by 255), and those that read nothing give something else that shows what ran. Tests hold
every reader of the product to refusing each of them.
"""

import re

from tests.native.hostile_models import external, names, parts, wire  # noqa: F401  (they fill MODELS)
from tests.native.hostile_models.making import MODELS, ROLES, honest

__all__ = ["MODELS", "OF_THE_RUNTIME", "ROLES", "honest"]

OF_THE_RUNTIME = re.compile(r"ONNX Runtime [\d.]+ cannot load")
"""The start of a refusal that is not ours."""
