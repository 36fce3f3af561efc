"""Which TorchScript and ``.pt2`` files of a bundle are loaded: those that its parameters explain.

Loading one runs what its author wants: shape expressions are evaluated as Python, sample inputs are
unpickled, TorchScript reads and writes files. No hash helps, since whoever writes the file writes
the hash too. But the parameters are plain numbers (safetensors), and an export of them has the same
bytes each time. So each file is made again from the parameters, and loaded only if it is the same.
"""

from __future__ import annotations

import functools
import io
import re

import torch
from safetensors.torch import load as load_safetensors
from torch import nn

import digitvae
from digitvae.bundle.dims import Dims
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import PRIOR_PARAMETERS, WEIGHTS
from digitvae.mixture.model import LatentMixture
from digitvae.vae.serialisation import SIGNATURES, exported_program_bytes, torchscript_bytes
from digitvae.vae.weights import load

PARAMETERS = {"decoder": WEIGHTS, "encoder": WEIGHTS, "prior": PRIOR_PARAMETERS}
"""Which file holds the parameters of each network."""

# The one thing that builds of PyTorch write differently: 2.14.1+cu130 where another is 2.14.1+cpu.
_TORCH_VERSION = re.compile(rb'"torch_version": "(\d[0-9A-Za-z.+-]{0,63})"')
_MODEL = "models/model.json"
_ADDED_BY_WRITER = (".data/version", "byteorder", ".data/serialization_id")
_FORMAT_VERSION = 6  # of the archive, as torch.export.save has it


class NotLoadedError(Exception):
    """A file of a bundle is not what its parameters explain; the message is for reports."""


class TorchFiles:
    """Gives the files of a bundle to those who load them; TorchScript and ``.pt2`` only if ours.

    Args:
        bundle: The bundle.
        trust: Give every file, whatever it may do.
    """

    def __init__(self, bundle: Bundle, *, trust: bool = False) -> None:
        self._bundle = bundle
        self._trust = trust

    def read(self, name: str) -> bytes:
        """The bytes of one file, to be loaded from memory: these are the ones that were compared.

        Args:
            name: Of any file of the bundle.

        Raises:
            NotLoadedError: Loading it can run code, its bytes are not those that this version
                writes, and they are not to be trusted.
            BundleError: The bundle does not list it, or its hash is another.
        """
        content = self._bundle.read(name)
        runs_code = name.endswith((".torchscript", ".pt2"))
        if runs_code and not self._trust and not self._is_ours(name, content):
            raise NotLoadedError(
                f"not loaded: not the bytes that digitvae {digitvae.__version__} writes; --trust "
                "loads it"
            )
        return content

    def _is_ours(self, name: str, content: bytes) -> bool:
        network, _, form = name.partition(".")
        try:
            parameters = self._bundle.read(PARAMETERS[network])
            made = _make(network, form, parameters, self._bundle.dims)
        except Exception:  # no such network, or parameters: nothing to compare with
            return False
        return content == made or (form == "pt2" and content == _as_by_version_in(content, made))


@functools.lru_cache(maxsize=8)
def _make(network: str, form: str, parameters: bytes, dims: Dims) -> bytes:
    """A file as :mod:`digitvae.export` writes it; bundles in a row may hold the same parameters."""
    module: nn.Module = (
        LatentMixture(**load_safetensors(parameters)).eval()
        if network == "prior"
        else getattr(load(parameters, dims), network)
    )
    if form == "torchscript":
        return torchscript_bytes(module)
    columns = dims.pixels if network == "encoder" else dims.latents
    return exported_program_bytes(module, SIGNATURES[network][0], columns)


def _as_by_version_in(content: bytes, made: bytes) -> bytes:
    """What ``made`` would be if written by the build of PyTorch that ``content`` names.

    The version is a note: nothing is decided by it when the file is loaded. The whole archive is
    written again with it, so that a file that equals the result differs in nothing else.
    """
    found = _TORCH_VERSION.search(content)
    if found is None:
        return made
    reader = torch._C.PyTorchFileReader(io.BytesIO(made))
    again = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(again)
    writer.set_min_version(_FORMAT_VERSION)
    for name in reader.get_all_records():
        if name not in _ADDED_BY_WRITER:
            record = reader.get_record(name)
            if name == _MODEL:
                record = _TORCH_VERSION.sub(lambda _: found.group(), record)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    return again.getvalue()
