"""Parameters read back, and those that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from digitvae.base.errors import BundleError
from digitvae.bundle.dims import Dims
from digitvae.bundle.folder import Bundle
from digitvae.vae.model import VAE
from digitvae.vae.weights import load, load_bundle

SMALL = Dims(height=2, width=3, latents=4, hidden=5)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return {name: torch.rand_like(value) for name, value in VAE(SMALL).state_dict().items()}


def test_the_network_has_the_parameters_and_takes_no_random_numbers(
    state: dict[str, torch.Tensor],
) -> None:
    before = torch.get_rng_state()
    model = load(save(state), SMALL)
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    half = load(save({name: value.half() for name, value in state.items()}), SMALL)
    assert {p.dtype for p in half.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "dims"),
    [
        (save, SMALL._replace(latents=3)),
        (save, SMALL._replace(hidden=1 << 40)),  # that are never allocated
        (save, SMALL._replace(width=1 << 70)),
        (lambda state: save(dict(list(state.items())[1:])), SMALL),
        (lambda state: save(state | {"more": torch.zeros(1)}), SMALL),
        (lambda state: save(state)[:-1], SMALL),
        (lambda _: b"", SMALL),
    ],
)
def test_other_parameters_are_a_value_error(
    change: Callable[[dict[str, torch.Tensor]], bytes], dims: Dims, state: dict[str, torch.Tensor]
) -> None:
    with pytest.raises(ValueError, match="expected Dims"):
        load(change(state), dims)


def test_a_bundle_of_other_sizes_than_its_weights_is_named(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    assert load_bundle(bundle).dims == bundle.dims
    bundle.manifest["dims"]["hidden"] = 256
    with pytest.raises(BundleError, match=r"weights\.safetensors does not hold the parameters"):
        load_bundle(bundle)
