"""The class-conditional latent mixture as a network: the graph of ``prior.onnx``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn


class LatentMixture(nn.Module):
    """A mixture of low-rank Gaussians per class, as the graph of ``prior.onnx``.

    It holds no random operation: noise is an argument. Which component a row gets is decided by
    comparisons alone, so every runtime gives the same, and any ``u`` gives one that exists.

    Attributes:
        class_thresholds: float32 [labels − 1], cumulative class frequencies.
        thresholds: float32 [2 · labels, most components of a class − 1]. Row d: cumulative
            weights within class d; row labels + d: the same in the range of u that chooses d
            among all classes. Rows of classes with fewer components are filled up with 2.
        first: int64 [labels], the number of each class's first component.
        means: float32 [components, latents].
        factors: float32 [components, rank, latents].
    """

    _jit_override_qualname = "__torch__.digitvae.prior.LatentPrior"  # as in vae/model.py

    if TYPE_CHECKING:  # TorchScript cannot read annotations that are strings
        class_thresholds: Tensor
        thresholds: Tensor
        first: Tensor
        means: Tensor
        factors: Tensor
    __jit_unused_properties__ = ("labels", "noise_dim", "components")

    def __init__(
        self,
        class_thresholds: Tensor,
        thresholds: Tensor,
        first: Tensor,
        means: Tensor,
        factors: Tensor,
    ) -> None:
        super().__init__()
        self.register_buffer("class_thresholds", class_thresholds)
        self.register_buffer("thresholds", thresholds)
        self.register_buffer("first", first)
        self.register_buffer("means", means)
        self.register_buffer("factors", factors)

    @property
    def labels(self) -> int:
        """Number of classes."""
        return self.first.shape[0]

    @property
    def noise_dim(self) -> int:
        """Number of columns of ``eps`` that are used: the rank of the factors."""
        return self.factors.shape[1]

    @property
    def components(self) -> list[int]:
        """Number of components of each class."""
        ends = [*self.first[1:].tolist(), self.means.shape[0]]
        return [int(end - start) for start, end in zip(self.first.tolist(), ends, strict=True)]

    def forward(self, u: Tensor, digit: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        """Draw latents; rows do not depend on each other.

        Args:
            u: float32 [n] in [0, 1): which class (if any will do) and component.
            digit: int64 [n]: the class, below ``labels``; −1: any, by the class frequencies.
            eps: float32 [n, latents], standard normal; the first ``rank`` columns are used.

        Returns:
            ``(z, label)``: float32 [n, latents], and int64 [n], the class of each row.
        """
        component, label = self.choose(u, digit)
        noise = eps[:, : self.factors.shape[1]].unsqueeze(1)  # [n, 1, rank]
        factor = torch.index_select(self.factors, 0, component)  # [n, rank, latents]
        spread = torch.matmul(noise, factor).squeeze(1)
        return torch.index_select(self.means, 0, component) + spread, label

    def choose(self, u: Tensor, digit: Tensor) -> tuple[Tensor, Tensor]:
        """The component and the class of each row, int64 [n] each; arguments as in ``forward``."""
        column = u.unsqueeze(1)
        # How many thresholds lie at or below u. Runtimes add float32 faster than int64, and
        # exactly, as long as there are fewer than 2²⁴.
        drawn = (column >= self.class_thresholds).float().sum(dim=1).long()
        whichever = digit < 0
        label = torch.where(whichever, drawn, digit)
        row = torch.where(whichever, drawn + self.first.shape[0], digit)
        passed = column >= torch.index_select(self.thresholds, 0, row)
        step = passed.float().sum(dim=1).long()
        return torch.index_select(self.first, 0, label) + step, label
