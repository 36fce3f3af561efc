"""What everything stands on: errors, checks of arguments, files, threads, and text that is shown.

Nothing here imports another package of digitvae.
"""
