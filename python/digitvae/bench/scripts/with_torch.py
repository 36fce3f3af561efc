"""Digits with PyTorch as it comes: the module, its weights, batches of 1,000."""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from digitvae.vae.model import VAE

bundle, count, out = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
vae = VAE()
vae.load_state_dict(load_file(bundle / "weights.safetensors"))
images = torch.empty((count, 784), dtype=torch.uint8)
with torch.inference_mode():
    for start in range(0, count, 1000):
        part = images[start : start + 1000]
        part.copy_(vae.decoder(torch.randn(len(part), 40)).mul_(255).round_())
np.save(out, images.numpy().reshape(-1, 28, 28))
