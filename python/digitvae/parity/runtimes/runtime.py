"""A runtime: one way to compute an exported network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray

from digitvae.engine.model import Model
from digitvae.parity.networks import Function, Network
from digitvae.parity.truth.enclosure import Reference


class UnavailableError(Exception):
    """This machine lacks what a runtime needs, or the runtime lacks what a model needs.

    Reports show the message, and the runtime as ``not run``.
    """


@dataclass
class Export:
    """A module, the files that were exported from it, and what runtimes have made of them so far.

    Attributes:
        network: Its inputs and outputs.
        module: What was exported.
        truth: What it computes in float64.
        files: Names of its files, by kind: ``onnx``, ``torchscript``, ``pt2``.
        read: Gives the content of a kind of file.
        ours: Whether it is part of a bundle; otherwise it is a model of which nothing is known.
        engine: The native engine that has loaded it, if any.
        functions: What computes it, by name of the runtime, in the order of reports.
        parameters: What the TorchScript and the ``.pt2`` file of a bundle hold, by kind, by name.
    """

    network: Network
    module: torch.nn.Module
    truth: Reference
    files: Mapping[str, str]
    read: Callable[[str], bytes]
    ours: bool = False
    engine: Model | None = None
    functions: dict[str, Function] = field(default_factory=dict)
    parameters: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Runtime:
    """One way to compute a network.

    Attributes:
        name: How reports call it.
        about: What it runs, for the table in docs/parity.md.
        load: Makes the function, or ``None`` if this network has no such runtime. It raises
            :class:`UnavailableError` if the runtime is not to be had here; any other exception is
            a fault of the file.
        file: The kind of file that it computes; an export without that has no such runtime.
        must_equal: The runtime whose bits it promises for networks of bundles.
        ours: Whether it computes nothing but networks of bundles.
        slow: Whether it needs seconds for convolutions, and is given few rows of other models.
    """

    name: str
    about: str
    load: Callable[[Export], Function | None]
    file: str | None = None
    must_equal: str | None = None
    ours: bool = False
    slow: bool = False
