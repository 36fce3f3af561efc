"""Digits with the onnxruntime package: one session, batches of 1,000, preallocated output."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

bundle, count, out = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
session = onnxruntime.InferenceSession(bundle / "decoder.onnx", providers=["CPUExecutionProvider"])
generator = np.random.default_rng(0)
images = np.empty((count, 784), np.uint8)
for start in range(0, count, 1000):
    rows = min(1000, count - start)
    z = generator.standard_normal((rows, 40), np.float32)
    (x,) = session.run(None, {"z": z})
    np.rint(x * np.float32(255), out=x)
    images[start : start + rows] = x
np.save(out, images.reshape(-1, 28, 28))
