"""Test −ELBO of other recipes for the same network: what docs/training.md says was tried.

    python -m benchmarks.recipes [--batch-size 128] [--lr 0.004] [--warmup 1] [--ema 0.999] …

One line of JSON for each ten epochs. Two to five minutes a recipe on two cores. The defaults are
those of ``digitvae train``, whose loop this is, with what it does not offer beside it.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from itertools import count

import torch
from torch import Tensor, nn

from digitvae.data import sets as data
from digitvae.training.loop import TrainConfig
from digitvae.vae.heldout import as_tensor, evaluate
from digitvae.vae.model import VAE
from digitvae.vae.objective import divergence, reconstruction


def options() -> argparse.Namespace:
    """The recipe."""
    parser = argparse.ArgumentParser(description="Train with another recipe and measure.")
    add = parser.add_argument
    add("--batch-size", type=int, default=256)
    add("--lr", type=float, default=8e-3, help="largest learning rate")
    add("--warmup", type=int, default=2, help="epochs in which it rises")
    add("--constant", action="store_true", help="keep the learning rate instead of a half cosine")
    add("--epochs", type=int, default=30)
    add("--anneal", type=int, default=10, help="epochs in which the KL weight rises")
    add("--ema", type=float, default=0.0, help="decay of a moving average of the weights")
    add("--he", action="store_true", help="He's initialization, output bias of the mean image")
    add("--binarise", action="store_true", help="draw pixels from the intensities at every step")
    add("--free-nats", type=float, default=0.0, help="KL that each latent may cost for nothing")
    add("--draws", type=int, default=1, help="posterior draws of the importance-weighted bound")
    add("--seed", type=int, default=0)
    return parser.parse_args()


def initialize_as_he(model: VAE, x: Tensor) -> None:
    """Weights by He et al. (2015), and the mean image where nothing else is known."""
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            nn.init.zeros_(parameter)
        else:
            gain = math.sqrt(2.0) if "hidden" in name else 1.0
            nn.init.normal_(parameter, std=gain / math.sqrt(parameter.shape[1]))
    with torch.no_grad():
        model.decoder.output.bias.copy_(torch.logit(x.mean(0), eps=1e-3))


def loss_of(model: VAE, x: Tensor, eps: Tensor, beta: float, asked: argparse.Namespace) -> Tensor:
    """What a step minimizes, for eps [draws, n, 40]."""
    mu, logvar = model.encoder(x)
    z = mu + torch.exp(0.5 * logvar) * eps
    logits = model.decoder.logits(z.flatten(0, 1)).view(len(eps), len(x), -1)
    if asked.draws == 1:
        kl = divergence(mu, logvar).mean()
        if asked.free_nats:
            per_latent = 0.5 * (mu.square() + torch.expm1(logvar) - logvar).mean(0)
            kl = per_latent.clamp(min=asked.free_nats).sum()
        return reconstruction(logits[0], x) / len(x) + beta * kl
    # Burda, Grosse, Salakhutdinov (2016), equation 8, the prior's part weighted by β.
    costs = nn.functional.binary_cross_entropy_with_logits(
        logits, x.expand_as(logits), reduction="none"
    )
    ratio = 0.5 * (eps.square() - z.square()).sum(2) + 0.5 * logvar.sum(1)
    weights = beta * ratio - costs.sum(2)
    return math.log(len(eps)) - torch.logsumexp(weights, 0).mean()


def main() -> None:
    """Train, and print a line for each ten epochs."""
    asked = options()
    splits = data.load("mnist")
    x, x_test = (as_tensor(splits[name].images) for name in ("train", "test"))
    torch.manual_seed(asked.seed)
    model = VAE(TrainConfig().dims)
    if asked.he:
        initialize_as_he(model, x)
    average = copy.deepcopy(model).requires_grad_(requires_grad=False)
    parameters = list(model.parameters())
    adam = torch.optim.Adam(parameters, fused=True)
    steps = -(-len(x) // asked.batch_size)
    began, steps_done = time.perf_counter(), count(1)
    for epoch in range(1, asked.epochs + 1):
        beta = min(1.0, epoch / asked.anneal) if asked.anneal else 1.0
        for rows in torch.split(torch.randperm(len(x)), asked.batch_size):
            step = next(steps_done)
            share = (step - 1) / (steps * asked.epochs)
            rise = min(1.0, step / (steps * asked.warmup)) if asked.warmup else 1.0
            fall = 1.0 if asked.constant else 0.5 * (1 + math.cos(math.pi * share))
            adam.param_groups[0]["lr"] = asked.lr * rise * fall
            batch = torch.bernoulli(x[rows]) if asked.binarise else x[rows]
            eps = torch.randn(asked.draws, len(rows), model.dims.latents)
            adam.zero_grad(set_to_none=True)
            loss_of(model, batch, eps, beta, asked).backward()  # type: ignore[no-untyped-call]
            adam.step()
            if asked.ema:
                kept = min(asked.ema, (1 + step) / (10 + step))
                torch._foreach_lerp_(
                    list(average.parameters()), [p.detach() for p in parameters], 1 - kept
                )
        if epoch % 10 == 0 or epoch == asked.epochs:
            test = evaluate(average if asked.ema else model, x_test)
            result = {"epoch": epoch, **test.to_dict(), "seconds": time.perf_counter() - began}
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
