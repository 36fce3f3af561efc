"""How good a model is: its likelihood, its aggregate posterior, and the digits that it makes.

``measures`` has one file for each; :func:`digitvae.evaluation.bundle.evaluate_bundle` takes them
all (``digitvae evaluate``).
"""
