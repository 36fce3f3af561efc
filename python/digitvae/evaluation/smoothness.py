"""How evenly, and through how recognizable digits, a path between two latents leads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from digitvae.evaluation.recognition import CONFIDENT

if TYPE_CHECKING:
    from numpy.typing import NDArray


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

    def to_dict(self) -> dict[str, float | int]:
        """Ready for JSON."""
        return asdict(self)


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
