"""Digits with TorchScript: batches of 1,000, preallocated output."""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch

warnings.filterwarnings("ignore", category=DeprecationWarning)  # of TorchScript itself
folder, count, out = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
decoder = torch.jit.load(folder / "decoder.torchscript").eval()  # type: ignore[no-untyped-call]
images = torch.empty((count, 784), dtype=torch.uint8)
with torch.inference_mode():
    for start in range(0, count, 1000):
        part = images[start : start + 1000]
        part.copy_(decoder(torch.randn(len(part), 40)).mul_(255).round_())
np.save(out, images.numpy().reshape(-1, 28, 28))
