"""Paths between two latents: even ones, through recognizable digits, are good."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from digitvae.base.tables import Table
from digitvae.evaluation.measure import Inputs, Measure, table
from digitvae.evaluation.pictures import grid
from digitvae.evaluation.recognition import CONFIDENT
from digitvae.evaluation.report import EvaluationReport, Picture
from digitvae.evaluation.settings import Size

PATHS = Size("paths", 500, 100, "interpolations")
"""Each between test images of different classes."""

STEPS = Size("steps", 16, 16, "images on each interpolation")
"""Both ends included."""

_SHOWN = 10


@dataclass(frozen=True)
class Smoothness:
    """Measures of paths, in the classifier's feature space; means over the paths.

    Attributes:
        paths: How many.
        steps: Images on each, both ends included.
        squared_step: ‖f(i+1) − f(i)‖², times the squared number of steps: the perceptual path
            length of Karras et al. 2019 (section 4.1) at the distance of these steps.
        detour: Length of the path over the distance of its ends: 1 is straight.
        largest_step: The largest step's share of the length: 1/(steps − 1) is even, 1 a jump.
        recognizable: Share of the images between the ends of which the classifier is confident.
    """

    paths: int
    steps: int
    squared_step: float
    detour: float
    largest_step: float
    recognizable: float


def smoothness(features: NDArray[np.floating], confidence: NDArray[np.floating]) -> Smoothness:
    """Measure paths.

    Paths that do not move at all have no detour and no largest step, and are left out of both.

    Args:
        features: [paths, steps, d], steps ≥ 3.
        confidence: [paths, steps] in [0, 1].

    Raises:
        ValueError: There is no path, or it has nothing between its ends.
    """
    paths, steps = features.shape[:2]
    if paths == 0 or steps < 3:
        raise ValueError(f"features: {list(features.shape)}; expected [paths, steps ≥ 3, d]")
    wide = features.astype(np.float64)
    step = np.linalg.norm(np.diff(wide, axis=1), axis=2)  # [paths, steps − 1]
    length = step.sum(axis=1)
    ends = np.linalg.norm(wide[:, -1] - wide[:, 0], axis=1)
    moved = ends > 0
    return Smoothness(
        paths=paths,
        steps=steps,
        squared_step=float(np.square(step * (steps - 1)).mean()),
        detour=_mean(length[moved] / ends[moved]),
        largest_step=_mean(step[moved].max(axis=1) / length[moved]),
        recognizable=float((confidence[:, 1:-1] > CONFIDENT).mean()),
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 1.0


def _compute(inputs: Inputs) -> Smoothness:
    inputs.begin("interpolations")
    # Their order is random, so neighbours are strangers.
    labels, mu = inputs.test.labels, inputs.posterior.mu
    a = 2 * np.flatnonzero(labels[0:-1:2] != labels[1::2])[: inputs.settings[PATHS]]
    paths = inputs.engine.interpolate(mu[a], mu[a + 1], inputs.settings[STEPS])
    inputs.sheets.append(partial(_sheet, paths))
    shape = paths.shape[:2]
    seen = inputs.recognizer(paths.reshape(-1, *paths.shape[2:]))
    return smoothness(seen.features.reshape(*shape, -1), seen.confidence.reshape(shape))


def _sheet(paths: NDArray[np.uint8]) -> Picture:
    return Picture(
        "Interpolations",
        "Straight lines between the posterior means of two test images.",
        grid(paths[:_SHOWN].reshape(-1, *paths.shape[2:]), paths.shape[1]),
    )


def _tables(report: EvaluationReport) -> list[Table]:
    return [
        table(
            "Interpolations between test images of different classes",
            "paths",
            {
                "steps": ("steps", ",d"),
                "squared step": ("squared_step", ",.1f"),
                "detour": ("detour", ",.2f"),
                "largest step": ("largest_step", ".1%"),
                "confidence > 0.9 between": ("recognizable", ".3f"),
            },
            {f"{report.smoothness.paths:,}": report.smoothness},
        )
    ]


MEASURE = Measure("smoothness", _compute, _tables, sizes=(PATHS, STEPS))
