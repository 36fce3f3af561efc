"""Parity of the prior's forms: ONNX, TorchScript and ExportedProgram against PyTorch.

PyTorch eager has the parameters of ``prior.safetensors``. What is compared: parameters, labels,
latents (TorchScript and ExportedProgram have eager's bits), with every class asked for, and with
``u`` at each threshold and just below it: one that has moved by a bit shows there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from onnx import numpy_helper
from safetensors.torch import load as load_safetensors

from digitvae.bundle.names import PRIOR, PRIOR_PARAMETERS
from digitvae.engine.sampling import LATENT_STREAM
from digitvae.mixture.model import LatentPrior
from digitvae.parity.prior import latent_limit
from digitvae.parity.random_reference import mixture_uniform, standard_normal
from digitvae.parity.report import LOADED, Check, first_line
from digitvae.parity.runtimes import onnx
from digitvae.parity.runtimes.pytorch import load_torchscript, program_of_bundle
from digitvae.parity.runtimes.trusted import NotLoadedError
from digitvae.parity.statistics import bits_differ, deviation
from digitvae.parity.structure import check_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from digitvae.bundle.folder import Bundle
    from digitvae.parity.runtimes.trusted import TorchFiles

    Array = NDArray[Any]
    Draw = Callable[[Mapping[str, Array]], tuple[Array, Array]]

TORCHSCRIPT = "prior.torchscript"
EXPORTED_PROGRAM = "prior.pt2"

_ROWS = 1000
_INPUTS = ("u", "digit", "eps")
_ANY = -1


def check_prior_forms(bundle: Bundle, torch_files: TorchFiles) -> list[Check]:
    """Compare every form of the prior with PyTorch, if the bundle has its parameters.

    Without them, ``prior.onnx`` has no counterpart; it is then compared with itself only.

    Args:
        bundle: The bundle.
        torch_files: Gives those of its files that may be loaded.
    """
    if PRIOR_PARAMETERS not in bundle.file_names:
        return []
    try:
        prior = LatentPrior(**load_safetensors(bundle.read(PRIOR_PARAMETERS))).eval()
        given = _inputs(prior, bundle.latent_dim)
        truth, labels = _torch_draw(prior.double())(given | {"eps": given["eps"].astype(float)})
        eager, eager_labels = _torch_draw(prior.float())(given)
    except Exception as error:  # safetensors, torch: each with exceptions of its own
        detail = first_line(error)
        return [Check(PRIOR_PARAMETERS, "holds the parameters of a prior", "failed", detail)]
    checks = [
        _differ(PRIOR_PARAMETERS, "gives the labels of float64 truth", labels, eager_labels),
        _near(PRIOR_PARAMETERS, eager, truth),
    ]
    parameters = {name: tensor.numpy() for name, tensor in prior.state_dict().items()}
    forms = (
        (PRIOR, _onnx, bundle.read),
        (TORCHSCRIPT, _torchscript, torch_files.read),
        (EXPORTED_PROGRAM, _program, torch_files.read),
    )
    same_parameters = f"parameters equal {PRIOR_PARAMETERS} bit for bit"
    for file, load, read in forms:
        try:
            draw, found = load(read(file))
            checks.append(check_tensors(file, same_parameters, found, parameters))
            z, form_labels = draw(given)
        except NotLoadedError as error:
            checks.append(Check(file, LOADED, "not run", str(error)))
            continue
        except Exception as error:  # each runtime has its own; all mean the same here
            checks.append(Check(file, "runs as PyTorch does", "failed", first_line(error)))
            continue
        checks += [
            _differ(file, "gives PyTorch's labels", eager_labels, form_labels),
            _near(file, z, truth),
        ]
        if file != PRIOR:
            wrong = bits_differ(z, eager) if z.dtype == eager.dtype else z.size
            checks.append(Check.none_differ(file, "gives PyTorch eager's bits", wrong, z.size))
    return checks


def _inputs(prior: LatentPrior, latents: int) -> dict[str, Array]:
    """Drawn rows of every digit and of any; then every threshold and the number below it."""
    classes = prior.labels
    u = mixture_uniform(0, 0, _ROWS)
    digit = np.arange(_ROWS) % (classes + 1) - 1
    rows = [(u, digit)]
    table = prior.thresholds.numpy()
    for row in range(2 * classes):
        rows.append(_borders(table[row], row if row < classes else _ANY))
    rows.append(_borders(prior.class_thresholds.numpy(), _ANY))
    u, digit = (np.concatenate(each) for each in zip(*rows, strict=True))
    return {
        "u": u.astype(np.float32),
        "digit": digit.astype(np.int64),
        "eps": standard_normal(0, LATENT_STREAM, 0, len(u), latents),
    }


def _borders(thresholds: Array, digit: int) -> tuple[Array, Array]:
    reached = thresholds[thresholds < 1.0]
    u = np.concatenate([reached, np.nextafter(reached, np.float32(0.0))])
    return u, np.full(len(u), digit)


def _torch_draw(module: Callable[..., Any]) -> Draw:
    def draw(given: Mapping[str, Array]) -> tuple[Array, Array]:
        with torch.inference_mode():
            z, label = module(*(torch.from_numpy(given[name]) for name in _INPUTS))
        return z.numpy(), label.numpy()

    return draw


def _onnx(content: bytes) -> tuple[Draw, dict[str, Array]]:
    session = onnx.load_session(content, "mixture")
    graph = onnx.load_model(content, "mixture").graph

    def draw(given: Mapping[str, Array]) -> tuple[Array, Array]:
        z, label = session.run(["z", "label"], dict(given))
        return z, label

    # Whole numbers are axes and ends of slices, which the other forms hold in their code.
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return draw, {
        name: value for name, value in tensors.items() if value.dtype.kind == "f" or name == "first"
    }


def _torchscript(content: bytes) -> tuple[Draw, dict[str, Array]]:
    module = load_torchscript(content)
    return _torch_draw(module), _arrays(module.state_dict())


def _program(content: bytes) -> tuple[Draw, dict[str, Array]]:
    program = program_of_bundle(content)
    return _torch_draw(program.module()), _arrays(program.state_dict)


def _arrays(tensors: Mapping[str, Any]) -> dict[str, Array]:
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def _near(file: str, z: Array, truth: Array) -> Check:
    limit = latent_limit(truth)
    farthest = float(deviation(z, truth).max()) if z.shape == truth.shape else np.inf
    return Check(
        file,
        "gives the latents of float64 truth, rounded",
        "passed" if farthest <= limit else "failed",
        f"largest difference {farthest:.1e}, limit {limit:.1e}",
    )


def _differ(file: str, statement: str, expected: Array, found: Array) -> Check:
    same = expected.shape == found.shape and expected.dtype == found.dtype
    wrong = int(np.count_nonzero(expected != found)) if same else expected.size
    return Check.none_differ(file, statement, wrong, expected.size)
