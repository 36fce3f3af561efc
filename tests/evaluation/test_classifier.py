"""The classifiers that ship, and how they are made."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from digitvae.base.errors import BundleError
from digitvae.bundle.folder import shipped_path
from digitvae.data import sets as data
from digitvae.data.sets import Split
from digitvae.evaluation.classifier import (
    Classifier,
    ClassifierConfig,
    accuracy,
    augmented,
    classifier_bytes,
    train_classifier,
)
from digitvae.evaluation.recognition import CONFIDENT, Recognition, Recognizer, classifier_path
from digitvae.vae.heldout import as_tensor
from tests.support.sizes import DIMS


@pytest.mark.parametrize(("dataset", "least"), [("mnist", 0.994), ("fashion-mnist", 0.915)])
def test_a_shipped_classifier_is_as_accurate_as_it_says(dataset: str, least: float) -> None:
    recognizer = Recognizer.open(classifier_path(dataset), DIMS.pixels)
    test = data.load(dataset, splits=("test",))["test"]
    found = recognizer(test.images).agreement(test.labels)
    assert recognizer.dataset == dataset
    assert found == pytest.approx(recognizer.accuracy, abs=1e-4)  # a near tie, elsewhere
    assert found >= least


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist"])
def test_a_shipped_classifier_is_small_and_says_nothing_of_who_made_it(dataset: str) -> None:
    content = classifier_path(dataset).read_bytes()
    assert len(content) < 2_000_000
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert [opset.version >= 18 for opset in model.opset_import] == [True]
    assert {fact.key: fact.value for fact in model.metadata_props} == {
        "digitvae.schema": "digitvae-classifier/1",
        "digitvae.height": "28",
        "digitvae.width": "28",
        "digitvae.dataset": dataset,
        "digitvae.accuracy": str(Recognizer.open(classifier_path(dataset), DIMS.pixels).accuracy),
    }
    batches = {value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.input}
    assert batches == {"batch"}
    # Beside the weights, in which any bytes may be.
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    assert not re.search(rb"/home|/work|/tmp|site-packages|\.py\b", model.SerializeToString())


@pytest.fixture(scope="module")
def trained(mnist: dict[str, Split]) -> Classifier:
    config = ClassifierConfig(epochs=4, seed=7)
    return train_classifier(config, mnist["train"].head(2000))


def test_training_learns_and_is_the_same_each_time(
    trained: Classifier, mnist: dict[str, Split]
) -> None:
    state = torch.get_rng_state()
    steps: list[None] = []
    config = ClassifierConfig(epochs=4, seed=7)
    again = train_classifier(config, mnist["train"].head(2000), on_step=lambda: steps.append(None))
    assert torch.equal(torch.get_rng_state(), state)
    assert len(steps) == config.steps(2000) == 60
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert accuracy(trained, mnist["test"].head(2000)) > 0.5


def test_the_export_computes_what_pytorch_computes(
    trained: Classifier, mnist: dict[str, Split], tmp_path: Path
) -> None:
    content = classifier_bytes(trained, "mnist", 0.5)
    assert content == classifier_bytes(trained, "mnist", 0.5)
    (tmp_path / "classifier.onnx").write_bytes(content)
    images = mnist["test"].images[:701]  # two blocks, the last one odd
    found = Recognizer.open(tmp_path / "classifier.onnx", DIMS.pixels)(images)
    logits, features = trained(as_tensor(images))
    odds = torch.softmax(logits.double(), dim=1)
    np.testing.assert_allclose(found.features, features, atol=1e-4)
    np.testing.assert_allclose(found.confidence, odds.max(dim=1).values, atol=1e-4)
    np.testing.assert_array_equal(found.label, odds.argmax(dim=1))


def test_accuracy_is_the_share_of_right_labels(
    trained: Classifier, mnist: dict[str, Split]
) -> None:
    split = mnist["test"].head(1500)
    guesses = trained(as_tensor(split.images))[0].argmax(dim=1).numpy()
    wrong = split._replace(labels=((guesses + 1) % 10).astype(np.uint8))
    assert accuracy(trained, wrong) == 0
    wrong.labels[:600] = guesses[:600]
    assert accuracy(trained, wrong) == 0.4


def test_images_are_moved_no_further_than_asked() -> None:
    x = torch.zeros(400, 28, 28)
    x[:, 13:15, 13:15] = 1
    only_shift = ClassifierConfig(shift=2.0, degrees=0.0, scale=0.0)
    planes = augmented(x, only_shift, torch.Generator().manual_seed(0))
    assert planes.shape == (400, 28, 28)
    assert 0 <= float(planes.min()) <= float(planes.max()) <= 1 + 1e-6
    places = torch.arange(28.0)
    for axis in (1, 2):
        centres = (planes.sum(dim=axis) * places).sum(dim=1) / planes.sum(dim=(1, 2)) - 13.5
        assert -2.001 < float(centres.min()) < -1.9
        assert 1.9 < float(centres.max()) < 2.001
    still = ClassifierConfig(shift=0.0, degrees=0.0, scale=0.0)
    same = augmented(x, still, torch.Generator().manual_seed(0))
    torch.testing.assert_close(same, x, rtol=0, atol=1e-5)


def test_too_few_images_are_a_value_error(mnist: dict[str, Split]) -> None:
    with pytest.raises(ValueError, match="127 images"):
        train_classifier(ClassifierConfig(), mnist["train"].head(127))


def test_recognition_counts_what_is_confident_and_what_agrees() -> None:
    seen = Recognition(
        np.zeros((4, 128), np.float32),
        np.array([0.95, CONFIDENT, 0.91, 0.2]),
        np.array([1, 2, 3, 4]),
    )
    assert seen.recognizable == 0.5
    assert seen.agreement(np.array([1, 2, 3, 0], np.uint8)) == 0.75


@pytest.mark.parametrize("content", [b"", b"no model", None])
def test_what_is_no_classifier_is_said_to_be_none(content: bytes | None, tmp_path: Path) -> None:
    if content is None:
        content = (shipped_path() / "decoder.onnx").read_bytes()
    (tmp_path / "odd.onnx").write_bytes(content)
    with pytest.raises(BundleError, match="not a classifier of ours"):
        Recognizer.open(tmp_path / "odd.onnx", DIMS.pixels)
    with pytest.raises(BundleError, match="there is no classifier"):
        Recognizer.open(tmp_path / "missing.onnx", DIMS.pixels)
