import pytest
import torch

from digitvae.vae.model import VAE, Decoder, Encoder
from tests.support.sizes import DIMS


@pytest.fixture
def vae() -> VAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return VAE(DIMS).eval()


def test_parameter_names_and_shapes_are_those_of_the_bundle_format(vae: VAE) -> None:
    assert {name: tuple(p.shape) for name, p in vae.state_dict().items()} == {
        "encoder.hidden.weight": (512, 784),
        "encoder.hidden.bias": (512,),
        "encoder.fc_mu.weight": (40, 512),
        "encoder.fc_mu.bias": (40,),
        "encoder.fc_logvar.weight": (40, 512),
        "encoder.fc_logvar.bias": (40,),
        "decoder.hidden.weight": (512, 40),
        "decoder.hidden.bias": (512,),
        "decoder.output.weight": (784, 512),
        "decoder.output.bias": (784,),
    }
    assert (DIMS.pixels, DIMS.hidden, DIMS.latents) == (784, 512, 40)
    assert sum(p.numel() for p in vae.parameters()) == 866_144


def test_encoder_computes_the_formula_of_its_layers(vae: VAE) -> None:
    x = torch.rand(6, DIMS.pixels, generator=torch.Generator().manual_seed(0))
    w = {name: p.double() for name, p in vae.encoder.state_dict().items()}
    h = (x.double() @ w["hidden.weight"].T + w["hidden.bias"]).clamp(min=0)
    mu, logvar = vae.encoder(x)
    torch.testing.assert_close(
        mu.double(), h @ w["fc_mu.weight"].T + w["fc_mu.bias"], rtol=0, atol=1e-6
    )
    torch.testing.assert_close(
        logvar.double(), h @ w["fc_logvar.weight"].T + w["fc_logvar.bias"], rtol=0, atol=1e-6
    )


def test_decoder_computes_the_formula_of_its_layers(vae: VAE) -> None:
    z = torch.randn(6, DIMS.latents, generator=torch.Generator().manual_seed(1))
    w = {name: p.double() for name, p in vae.decoder.state_dict().items()}
    h = (z.double() @ w["hidden.weight"].T + w["hidden.bias"]).clamp(min=0)
    logits = h @ w["output.weight"].T + w["output.bias"]
    torch.testing.assert_close(vae.decoder.logits(z).double(), logits, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        vae.decoder(z).double(), 1 / (1 + torch.exp(-logits)), rtol=0, atol=1e-6
    )


def test_extreme_latents_stay_within_zero_and_one(vae: VAE) -> None:
    for scale in (0.0, 10.0, 100.0, 1e4, 1e-42):
        x = vae.decoder(torch.full((1, DIMS.latents), scale))
        assert torch.isfinite(x).all()
        assert x.min() >= 0
        assert x.max() <= 1


def test_forward_is_the_reparameterization_of_mu_sigma_and_the_given_noise(vae: VAE) -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(4, DIMS.pixels, generator=generator)
    eps = torch.randn(4, DIMS.latents, generator=generator)
    logits, mu, logvar = vae(x, eps)
    expected = vae.decoder.logits(mu + torch.sqrt(torch.exp(logvar)) * eps)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(logits, vae(x, None)[0])


def test_without_noise_the_latent_is_the_posterior_mean(vae: VAE) -> None:
    x = torch.rand(4, DIMS.pixels, generator=torch.Generator().manual_seed(4))
    logits, mu, _ = vae(x)
    assert torch.equal(logits, vae.decoder.logits(mu))


def test_noise_passes_no_gradient_but_both_heads_of_the_encoder_get_one(vae: VAE) -> None:
    x = torch.rand(4, DIMS.pixels)
    logits, _, _ = vae(x, torch.ones(4, DIMS.latents))
    logits.square().sum().backward()
    for head in (vae.encoder.fc_mu, vae.encoder.fc_logvar):
        assert head.weight.grad is not None
        assert head.weight.grad.abs().sum() > 0


def test_halves_can_be_built_alone() -> None:
    assert Encoder(DIMS)(torch.zeros(1, DIMS.pixels))[0].shape == (1, DIMS.latents)
    assert Decoder(DIMS)(torch.zeros(1, DIMS.latents)).shape == (1, DIMS.pixels)
