"""The latent mixture: codes of images, what is fitted to them, and its module."""
