"""Errors, checks of arguments, files, threads, and text that is shown: for all other packages.

Nothing here imports another package of digitvae.
"""
