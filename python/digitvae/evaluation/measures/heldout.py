"""−ELBO and its parts on all test images: the numbers that training reports."""

from __future__ import annotations

from digitvae.base.tables import Table
from digitvae.evaluation.measure import Inputs, Measure, likelihood, number
from digitvae.evaluation.report import EvaluationReport
from digitvae.vae.heldout import Evaluation, as_tensor, evaluate


def _compute(inputs: Inputs) -> Evaluation:
    inputs.begin("−ELBO of the test images")
    # In their own order, on which the noise of each depends.
    images = as_tensor(inputs.splits["test"].images)
    return evaluate(inputs.network, images, inputs.objective)


def _tables(report: EvaluationReport) -> list[Table]:
    found: Evaluation = report.heldout
    values = {
        "−ELBO": number(found.nelbo),
        "BCE": number(found.bce),
        "KL": number(found.kl),
        "active latents": f"{found.active_latents} of {found.dims.latents}",
    }
    return [likelihood([(name, value, "", f"{found.images:,}") for name, value in values.items()])]


MEASURE = Measure("heldout", _compute, _tables)
