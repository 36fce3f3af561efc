"""Digits with OpenVINO, in float32: batches of 1,000, preallocated output."""

import sys
from pathlib import Path

import numpy as np
import openvino

bundle, count, out = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
decoder = openvino.compile_model(
    bundle / "decoder.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
)
generator = np.random.default_rng(0)
images = np.empty((count, 784), np.uint8)
for start in range(0, count, 1000):
    rows = min(1000, count - start)
    x = decoder(generator.standard_normal((rows, 40), np.float32))[0]
    images[start : start + rows] = np.rint(x * np.float32(255))
np.save(out, images.reshape(-1, 28, 28))
