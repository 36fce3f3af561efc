"""The gate's own test: faulty copies of a bundle must fail, and honest ones must not."""

from __future__ import annotations

from digitvae.parity.gate.trial import gate_tested, judge

__all__ = ["gate_tested", "judge"]
