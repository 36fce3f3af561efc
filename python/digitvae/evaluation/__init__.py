"""How good a model is: its likelihood, its aggregate posterior, and the digits that it makes.

One module for each measure; :mod:`digitvae.evaluation.run` takes them all (``digitvae evaluate``).
"""
