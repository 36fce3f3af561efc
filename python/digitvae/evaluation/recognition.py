"""The classifier that looks at pictures in our place, in ONNX Runtime."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from digitvae._native import check_model
from digitvae.base.errors import BundleError
from digitvae.bundle.folder import shipped_folder

Float32 = NDArray[np.float32]

CONFIDENT = 0.9
"""A picture counts as recognizable if the most probable class has more than this."""

_ROWS = 500


def classifier_path(dataset: str) -> Path:
    """The classifier that comes with the package for a data set."""
    return shipped_folder("classifiers", "classifiers") / f"{dataset}.onnx"


class Recognition(NamedTuple):
    """Answers of the classifier to n images.

    Attributes:
        features: float32 [n, 128], its last hidden layer.
        confidence: float64 [n] in [0, 1], the probability of the most probable class.
        label: int64 [n], that class.
    """

    features: Float32
    confidence: NDArray[np.float64]
    label: NDArray[np.int64]

    @property
    def recognizable(self) -> float:
        """Share of images of whose class the classifier is confident."""
        return float((self.confidence > CONFIDENT).mean())

    def agreement(self, labels: NDArray[np.integer]) -> float:
        """Share of images that are taken for what their labels say."""
        return float((self.label == labels).mean())


@dataclass(frozen=True)
class Recognizer:
    """A classifier, ready to use.

    Attributes:
        dataset: What it was trained on.
        accuracy: Its accuracy on the test images of that, in [0, 1].
        sha256: Of its file.
    """

    session: ort.InferenceSession
    dataset: str
    accuracy: float
    sha256: str

    @classmethod
    def open(cls, file: Path, pixels: int) -> Recognizer:
        """Open a classifier.

        Args:
            file: An ONNX file.
            pixels: Of the images that it is to look at.

        Raises:
            BundleError: It is missing, or not a classifier of ours for such images.
        """
        try:
            content = file.read_bytes()
        except OSError as error:
            raise BundleError(
                f"there is no classifier at {file}: {error.strerror}; "
                "`digitvae classifier` makes one"
            ) from error
        try:
            check_model(content, "network")
            session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
            facts = session.get_modelmeta().custom_metadata_map
            dataset, accuracy = facts["digitvae.dataset"], float(facts["digitvae.accuracy"])
            shapes = {
                value.name: value.shape[1:]
                for value in (*session.get_inputs(), *session.get_outputs())
            }
        except Exception as error:  # ONNX Runtime's own have no common base
            raise BundleError(f"{file} is not a classifier of ours: {error}") from error
        if shapes != {"x": [pixels], "logits": [10], "features": [128]}:
            raise BundleError(
                f"{file} is not a classifier of ours: its inputs and outputs are {shapes}"
            )
        return cls(session, dataset, accuracy, hashlib.sha256(content).hexdigest())

    def __call__(self, images: NDArray[np.uint8]) -> Recognition:
        """Look at images.

        Args:
            images: uint8 [n, height, width], n ≥ 1.
        """
        parts = []
        for first in range(0, len(images), _ROWS):
            rows = images[first : first + _ROWS].reshape(-1, images[0].size)
            x = rows.astype(np.float32) / np.float32(255)
            logits, features = self.session.run(["logits", "features"], {"x": x})
            wide = logits.astype(np.float64)
            odds = np.exp(wide - wide.max(axis=1, keepdims=True))
            parts.append((features, 1 / odds.sum(axis=1), wide.argmax(axis=1)))
        features, confidence, label = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Recognition(features, confidence, label)
