"""From a finished run to a bundle that is verified."""

from digitvae.export.bundle import export_run

__all__ = ["export_run"]
