"""The latent explorer: a page (``web/``) that runs a bundle in the browser, and who serves it.

Standard library only. Neither torch, onnxruntime nor NumPy is imported.
"""
