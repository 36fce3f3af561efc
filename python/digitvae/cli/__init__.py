"""The command line, ``digitvae``: one module per command, put together in ``app``.

The modules import nothing but click and the standard library at the top; what a command needs it
imports when it runs.
"""
