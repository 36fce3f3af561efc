"""Measures of a model: of its likelihood, its aggregate posterior, and the digits it makes.

``measures`` has one file for each; :func:`digitvae.evaluation.bundle.evaluate_bundle` takes them
all (``digitvae evaluate``).
"""

_EARLIER = (
    *("ACTIVE_VARIANCE", "BASELINE_TOLERANCE", "Evaluation"),
    *("as_tensor", "baseline_bce", "evaluate"),
)


def __getattr__(name: str) -> object:
    """Names that documentation once took from ``digitvae.evaluate``, which leads here."""
    if name not in _EARLIER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from digitvae.vae import heldout

    return getattr(heldout, name)
