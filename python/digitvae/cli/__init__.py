"""The command line, ``digitvae``: one file a command in ``commands/``, run by ``app.main``.

At the top, these modules import only what is quick to import; a command imports the rest when it
runs.
"""
