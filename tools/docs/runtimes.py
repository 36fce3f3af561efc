"""The table of the runtimes of ``digitvae verify``: ``python -m tools.docs.runtimes`` prints it."""

from __future__ import annotations

from digitvae.parity.runtimes import RUNTIMES


def table() -> str:
    """The runtimes in the order of reports, as docs/parity.md shows them."""
    rows = [("runtime", "what it runs", "must have the bits of"), ("---",) * 3]
    rows += [(runtime.name, runtime.about, runtime.must_equal or "") for runtime in RUNTIMES]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(table())
