"""What the tests of `verify` are made with: honest files are honest, and faulty ones are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.support.constructions import CANNOT, CONSTRUCTIONS, FAULTS, Exporter, exported
from tests.support.constructions.zoo import BATCH, OTHER_BATCH, OTHER_SIZE, SIZE


def test_there_are_41() -> None:
    assert len(CONSTRUCTIONS) == 41


@pytest.mark.parametrize(("exporter", "opset"), [("dynamo", 18), ("torchscript", 17)])
@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_an_export_computes_what_the_module_does(
    name: str, exporter: Exporter, opset: int, tmp_path: Path
) -> None:
    construction, path = CONSTRUCTIONS[name], tmp_path / "model.onnx"
    if name in CANNOT[exporter]:
        with pytest.raises(
            torch.onnx.errors.UnsupportedOperatorError, match=CANNOT[exporter][name]
        ):
            exported(construction, path, exporter=exporter, opset=opset)
        return

    exported(construction, path, exporter=exporter, opset=opset)
    session = onnxruntime.InferenceSession(path)
    module = construction.make()
    for batch, size in ((BATCH, SIZE), (OTHER_BATCH, OTHER_SIZE)):
        inputs = construction.inputs(batch, size)
        given = {i.name: x.numpy() for i, x in zip(session.get_inputs(), inputs, strict=True)}
        expected = module(*inputs)
        outputs = expected if isinstance(expected, tuple) else (expected,)
        for result, output in zip(session.run(None, given), outputs, strict=True):
            assert result.shape == output.shape
            assert np.abs(result - output.numpy()).max() <= 1e-4 * output.abs().max()


def test_every_kind_of_fault_changes_what_a_file_computes(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    exported(CONSTRUCTIONS["convolutional_vae"], path, exporter="torchscript", opset=17)
    model = onnx.load(path)
    assert [kind for kind, fault in FAULTS.items() if fault(model) is None] == []
