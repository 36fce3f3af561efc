"""How good a model is: its likelihood, its aggregate posterior, and the digits that it makes.

One module for each measure; ``digitvae.evaluate.run`` takes them all (``digitvae evaluate``). What
training measures after every epoch is ``heldout``, which is imported here.
"""

from digitvae.evaluate.heldout import (
    ACTIVE_VARIANCE,
    BASELINE_TOLERANCE,
    Evaluation,
    as_tensor,
    baseline_bce,
    evaluate,
)

__all__ = [
    "ACTIVE_VARIANCE",
    "BASELINE_TOLERANCE",
    "Evaluation",
    "as_tensor",
    "baseline_bce",
    "evaluate",
]
