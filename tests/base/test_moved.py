"""Import paths that documentation once named."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from digitvae.base.moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_a_module_is_found_by_its_earlier_name_and_is_the_same(old: str) -> None:
    before = sys.modules.get(MOVED[old])
    module = import_module(old)
    assert module is import_module(MOVED[old])
    assert before in (None, module)
    assert module.__name__ == MOVED[old]
    assert module.__spec__ is not None
    assert module.__spec__.name == MOVED[old]


def test_so_are_modules_below_it() -> None:
    assert import_module("digitvae.evaluate.report") is import_module("digitvae.evaluation.report")
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        import_module("digitvae.evaluate.nothing")


def test_what_documentation_named_is_still_there() -> None:
    code = """
import digitvae.ray, digitvae.sinks
from digitvae import data
from digitvae.data import load
from digitvae.evaluate import ACTIVE_VARIANCE, BASELINE_TOLERANCE, Evaluation
from digitvae.evaluate import as_tensor, baseline_bce, evaluate
from digitvae.evaluate.report import EvaluationReport
from digitvae.evaluate.run import evaluate_bundle
from digitvae.export import export_run
from digitvae.model import VAE
from digitvae.objective import loss
from digitvae.parity import verify
from digitvae.sinks import Sink, open_sink
from digitvae.train import TrainConfig, recipe, train
assert evaluate.__module__ == Evaluation.__module__ == "digitvae.vae.heldout"
assert not hasattr(digitvae.evaluate, "nothing")
digitvae.ray.dataset, digitvae.sinks.open_sink, data.load
"""
    subprocess.run([sys.executable, "-c", code], check=True)
