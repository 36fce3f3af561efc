"""The small models that C++ tests and fuzzers start from: committed as made, right where good."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from cpp.fuzz import make_corpus


@pytest.mark.parametrize("name", sorted(make_corpus.models()))
def test_the_committed_models_are_what_the_script_makes(name: str) -> None:
    assert (make_corpus.MODELS / f"{name}.onnx").read_bytes() == make_corpus.models()[name]


def test_the_other_committed_inputs_are_too() -> None:
    assert make_corpus.PRIOR.read_bytes() == make_corpus.prior(40)
    for name, content in make_corpus.calls().items():
        assert (make_corpus.CALLS / name).read_bytes() == content


def test_the_corpus_holds_nothing_that_nobody_can_make_again() -> None:
    found = {path.stem for path in make_corpus.MODELS.iterdir() if path.suffix == ".onnx"}
    assert found == set(make_corpus.models())
    others = {path.name for path in make_corpus.CALLS.iterdir()}
    assert {name for name in others if not name.startswith("found_")} == set(make_corpus.calls())


@pytest.mark.parametrize("digit", [-1, 0, 7, 9])
def test_the_prior_is_the_mixture_that_numpy_computes(digit: int) -> None:
    """z = mean + deviation · eps of the component that u falls into, in float64."""
    random = np.random.default_rng(5)
    rows, latents = 500, 40
    u = random.uniform(size=rows).astype(np.float32)
    eps = random.normal(size=(rows, latents)).astype(np.float32)
    session = onnxruntime.InferenceSession(
        make_corpus.PRIOR.read_bytes(), providers=["CPUExecutionProvider"]
    )
    z, label = session.run(
        ["z", "label"], {"u": u, "digit": np.full(rows, digit, np.int64), "eps": eps}
    )

    mixture = make_corpus.mixture(latents)
    cumulative = mixture["overall"] if digit < 0 else mixture["within"][digit]
    component = np.searchsorted(cumulative, u, side="right") + (
        0 if digit < 0 else digit * make_corpus.COMPONENTS
    )
    expected = mixture["means"][component] + mixture["deviations"][component].astype(
        np.float64
    ) * eps.astype(np.float64)
    np.testing.assert_allclose(z, expected, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(label, component // make_corpus.COMPONENTS)
