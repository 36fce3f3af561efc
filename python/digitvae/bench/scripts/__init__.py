"""Programs that one would write to put N digits into a .npy of uint8 without digitvae.

Each is run as ``python SCRIPT BUNDLE N OUT.npy`` in a new interpreter, and uses all processors.
"""
