"""The bundle on disk (``export/README.md``): its files, its manifest, its model card."""
