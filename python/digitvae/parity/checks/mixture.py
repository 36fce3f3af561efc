"""Parity of the prior: ``prior.onnx`` in every runtime, and its other files, against PyTorch.

From the specified random numbers, the C API and ONNX Runtime in Python compute the same bits, and
every runtime the same labels. PyTorch eager, with the parameters of ``prior.safetensors``, says
what is right: parameters, labels and latents are compared with it, for every class that can be
asked for, and with ``u`` at each threshold and just below it: one that has moved by a bit shows
there. TorchScript and ExportedProgram have eager's bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from safetensors.torch import load as load_safetensors

from digitvae import _native
from digitvae.bundle.folder import Bundle
from digitvae.bundle.names import DECODER as DECODER_FILE
from digitvae.bundle.names import PRIOR, PRIOR_PARAMETERS
from digitvae.engine.runtime import open_runtime
from digitvae.engine.sampling import LATENT_STREAM
from digitvae.mixture.model import LatentMixture
from digitvae.parity.checks.random_reference import (
    mixture_latents,
    mixture_uniform,
    standard_normal,
)
from digitvae.parity.checks.structure import check_tensors
from digitvae.parity.compare.statistics import bits_differ, deviation
from digitvae.parity.networks import Float32
from digitvae.parity.report.report import LOADED, Check, first_line
from digitvae.parity.runtimes import onnx
from digitvae.parity.runtimes.c_api import Handle
from digitvae.parity.runtimes.pytorch import arrays, load_torchscript, program_of_bundle
from digitvae.parity.runtimes.trusted import NotLoadedError, TorchFiles

Array = NDArray[Any]
Draw = Callable[[Mapping[str, Array]], tuple[Array, Array]]
"""``u``, ``digit`` and ``eps`` by name, to latents [n, d] and labels [n]."""

TORCHSCRIPT = "prior.torchscript"
EXPORTED_PROGRAM = "prior.pt2"

_ROWS = 1000
_ANY = -1
_OUTPUTS = ["z", "label"]
_LARGEST = 1e20
"""Latents beyond it are refused by the decoder."""


def mixture_draws(bundle: Bundle, count: int) -> Float32:
    """Latents 0 … count−1 of seed 0 from the bundle's mixture, any class, float32 [count, 40].

    Raises:
        ValueError: The prior computes what no decoder can take.
        Exception: What ONNX Runtime raises.
    """
    draw, _ = _onnx(bundle.read(PRIOR))
    z: Float32 = draw(_any_class(count, bundle.latent_dim))[0]
    if z.dtype != np.float32 or z.shape != (count, bundle.latent_dim):
        raise ValueError(f"{PRIOR} computes {z.dtype} {list(z.shape)}")
    if not np.abs(z).max(initial=0.0) <= _LARGEST:
        raise ValueError(f"{PRIOR} computes latents that are no numbers, or beyond ±{_LARGEST:g}")
    return z


def check_mixture_runtimes(bundle: Bundle) -> list[Check]:
    """Compare everything that runs ``prior.onnx`` on draws of any class."""
    given = _any_class(_ROWS, bundle.latent_dim)
    try:
        content = bundle.read(PRIOR)
        draw, tables = _onnx(content)
        z, labels = draw(given)
        plain = onnx.load_session(content, "mixture", level=onnx.OFF).run(_OUTPUTS, given)
        reference: Any = ReferenceEvaluator(onnx.load_model(content, "mixture")).run(
            _OUTPUTS, given
        )
        with (
            closing(Handle("decoder", bundle.read(DECODER_FILE))) as decoder,
            closing(Handle("prior", content)) as prior,
        ):
            native = decoder.latents(prior, _ROWS, bundle.latent_dim)
        specified = z
        if _native.Mixture(open_runtime(), content, optimized=True).is_optimized:
            specified, _ = mixture_latents(tables, **given)
    except Exception as error:  # each runtime has its own exceptions; all mean the same here
        return [Check(PRIOR, "runs in every runtime", "failed", first_line(error))]
    others, others_labels = zip(plain, reference, native, strict=True)
    return [
        _same(PRIOR, "gives the same labels in every runtime", [labels] * 3, others_labels),
        Check.none_differ(
            PRIOR,
            "gives the specified latents through the C API, bit for bit",
            bits_differ(native[0], specified),
            z.size,
        ),
        _near(
            PRIOR,
            "gives the same latents natively, without optimization and in the ONNX reference",
            np.stack(others),
            z,
        ),
    ]


def check_mixture_files(bundle: Bundle, torch_files: TorchFiles) -> list[Check]:
    """Compare every file of the prior with PyTorch, if the bundle has its parameters.

    Without them, ``prior.onnx`` has no counterpart; it is then compared with itself only.

    Args:
        bundle: The bundle.
        torch_files: Gives those of its files that may be loaded.
    """
    if PRIOR_PARAMETERS not in bundle.file_names:
        return []
    rounded = "gives the latents of float64 truth, rounded"
    try:
        prior = LatentMixture(**load_safetensors(bundle.read(PRIOR_PARAMETERS))).eval()
        given = _every_class(prior, bundle.latent_dim)
        truth, labels = _torch_draw(prior.double())(given | {"eps": given["eps"].astype(float)})
        eager, eager_labels = _torch_draw(prior.float())(given)
    except Exception as error:  # safetensors, torch: each with exceptions of its own
        detail = first_line(error)
        return [Check(PRIOR_PARAMETERS, "holds the parameters of a prior", "failed", detail)]
    checks = [
        _same(PRIOR_PARAMETERS, "gives the labels of float64 truth", labels, eager_labels),
        _near(PRIOR_PARAMETERS, rounded, eager, truth),
    ]
    parameters = arrays(prior.state_dict())
    files = (
        (PRIOR, _onnx, bundle.read),
        (TORCHSCRIPT, _torchscript, torch_files.read),
        (EXPORTED_PROGRAM, _program, torch_files.read),
    )
    same_parameters = f"parameters equal {PRIOR_PARAMETERS} bit for bit"
    for file, load, read in files:
        try:
            draw, found = load(read(file))
            checks.append(check_tensors(file, same_parameters, found, parameters))
            z, found_labels = draw(given)
        except NotLoadedError as error:
            checks.append(Check(file, LOADED, "not run", str(error)))
            continue
        except Exception as error:  # each runtime has its own; all mean the same here
            checks.append(Check(file, "runs as PyTorch does", "failed", first_line(error)))
            continue
        checks += [
            _same(file, "gives PyTorch's labels", eager_labels, found_labels),
            _near(file, rounded, z, truth),
        ]
        if file != PRIOR:
            wrong = bits_differ(z, eager) if z.dtype == eager.dtype else z.size
            checks.append(Check.none_differ(file, "gives PyTorch eager's bits", wrong, z.size))
    return checks


def _any_class(count: int, dim: int) -> dict[str, Array]:
    return {
        "u": mixture_uniform(0, 0, count),
        "digit": np.full(count, _ANY, np.int64),
        "eps": standard_normal(0, LATENT_STREAM, 0, count, dim),
    }


def _every_class(prior: LatentMixture, dim: int) -> dict[str, Array]:
    """Drawn rows of every digit and of any; then every threshold and the number below it."""
    classes = prior.labels
    u, digit = [mixture_uniform(0, 0, _ROWS)], [np.arange(_ROWS) % (classes + 1) - 1]
    borders = [*prior.thresholds.numpy(), prior.class_thresholds.numpy()]
    for row, thresholds in enumerate(borders):
        reached = thresholds[thresholds < 1.0]
        u += [reached, np.nextafter(reached, np.float32(0.0))]
        digit += [np.full(2 * len(reached), row if row < classes else _ANY)]
    given = _any_class(sum(map(len, u)), dim)
    return given | {"u": np.concatenate(u), "digit": np.concatenate(digit).astype(np.int64)}


def _torch_draw(module: Callable[..., Any]) -> Draw:
    def draw(given: Mapping[str, Array]) -> tuple[Array, Array]:
        with torch.inference_mode():
            z, label = module(*(torch.from_numpy(given[name]) for name in ("u", "digit", "eps")))
        return z.numpy(), label.numpy()

    return draw


def _onnx(content: bytes) -> tuple[Draw, dict[str, Array]]:
    session = onnx.load_session(content, "mixture")
    graph = onnx.load_model(content, "mixture").graph

    def draw(given: Mapping[str, Array]) -> tuple[Array, Array]:
        z, label = session.run(_OUTPUTS, dict(given))
        return z, label

    # Whole numbers are axes and ends of slices, which the other files hold in their code.
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return draw, {
        name: value for name, value in tensors.items() if value.dtype.kind == "f" or name == "first"
    }


def _torchscript(content: bytes) -> tuple[Draw, dict[str, Array]]:
    module = load_torchscript(content)
    return _torch_draw(module), arrays(module.state_dict())


def _program(content: bytes) -> tuple[Draw, dict[str, Array]]:
    program = program_of_bundle(content)
    return _torch_draw(program.module()), arrays(program.state_dict)


def _near(file: str, statement: str, z: Array, truth: Array) -> Check:
    """Compare latents [n, d]: sums of d products and a mean, each rounded twice."""
    limit = 2.0 * truth.shape[-1] * 2.0**-24 * max(1.0, float(np.abs(truth).max()))
    same_shape = z.shape[-2:] == truth.shape
    farthest = float(deviation(z, truth).max()) if same_shape else np.inf
    detail = f"largest difference {farthest:.1e}, limit {limit:.1e}"
    return Check.of(file, statement, farthest <= limit, detail)


def _same(file: str, statement: str, expected: Any, found: Any) -> Check:
    expected, found = np.asarray(expected), np.asarray(found)
    same = expected.shape == found.shape and expected.dtype == found.dtype
    wrong = int(np.count_nonzero(expected != found)) if same else expected.size
    return Check.none_differ(file, statement, wrong, expected.size)
