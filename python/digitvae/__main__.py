"""``python -m digitvae``: the command line, for what starts modules, such as ``torchrun -m``."""

from digitvae.cli.app import program

if __name__ == "__main__":
    program()
