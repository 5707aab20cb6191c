"""CMA-ES on a few dozen weights: ask, tell, and a state of plain arrays.

Source: Hansen, "The CMA evolution strategy: a tutorial" (arXiv 1604.00772v2, 2023), figure 6 and table 1,
with positive recombination weights alone. Diagonal matrices: Ros & Hansen, "A simple modification in CMA-ES achieving
linear time and space complexity" (PPSN 2008).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, cast

import numpy as np

from tweann.genes import Float

#: Beyond this ratio of the axes' lengths the matrix is worn out, and begins anew.
_MAX_CONDITION: Final = 1e14


def offspring(n: int) -> int:
    """Return λ = 4 + ⌊3 ln n⌋, the usual number of samples a generation. (Hansen, table 1)"""
    return 4 + int(3.0 * math.log(n)) if n > 1 else 4


class CMA:
    """The distribution that samples come from: N(mean, σ²·C).

    Attributes:
        mean: (n,) the centre.
        sigma: > 0, the step size.
        covariance: (n, n) symmetric, positive definite; or (n,), its diagonal. It begins with the squares of ``scale``.
        path, sigma_path: (n,) evolution paths of C and of σ.
        generation: how many were told.
    """

    def __init__(
        self, mean: Float, sigma: float, diagonal: bool = False, scale: Float | None = None
    ) -> None:
        n = mean.size
        self.mean, self.sigma = mean.astype(np.float64), sigma
        squares = np.ones(n) if scale is None else scale**2
        self.covariance: Float = squares if diagonal else np.diag(squares)
        self.path, self.sigma_path = np.zeros(n), np.zeros(n)
        self.generation = 0
        self._axes: tuple[Float | None, Float] | None = None

    def ask(self, normal: Float) -> Float:
        """Return (λ, n) samples for (λ, n) standard normal numbers."""
        vectors, lengths = self._decomposed()
        steps = normal * lengths
        return self.mean + self.sigma * (steps if vectors is None else steps @ vectors.T)

    def tell(self, samples: Float, fitness: Float) -> None:
        """Move on by a generation.

        Args:
            samples: (λ, n), λ >= 2, as `ask` gave them; or what became of them, e.g. clipped.
            fitness: (λ,) the greater the better; failures as -inf. Of equals the first counts as the better one.
        """
        n, size = self.mean.size, fitness.size
        vectors, lengths = self._decomposed()
        self.generation += 1
        mu = size // 2
        weights = math.log((size + 1) / 2) - np.log(np.arange(1, mu + 1))
        weights /= weights.sum()
        mu_eff = 1.0 / float((weights**2).sum())
        c_sigma = (mu_eff + 2) / (n + mu_eff + 5)
        d_sigma = 1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma
        c_c = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n)
        c_1 = 2 / ((n + 1.3) ** 2 + mu_eff)
        c_mu = 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((n + 2) ** 2 + mu_eff)
        if vectors is None:  # fewer numbers are learned faster (Ros & Hansen, section 3)
            c_1, c_mu = min(1.0, c_1 * (n + 2) / 3), c_mu * (n + 2) / 3
        c_mu = min(1 - c_1, c_mu)
        length = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))  # E‖N(0, I)‖
        best = np.argsort(-fitness, kind="stable")[:mu]
        steps = (samples[best] - self.mean) / self.sigma
        step = weights @ steps
        self.mean = self.mean + self.sigma * step
        whitened = step / lengths if vectors is None else vectors @ (vectors.T @ step / lengths)
        self.sigma_path = (1 - c_sigma) * self.sigma_path + math.sqrt(
            c_sigma * (2 - c_sigma) * mu_eff
        ) * whitened
        norm = float(np.sqrt((self.sigma_path**2).sum()))
        decay = math.sqrt(1 - (1 - c_sigma) ** (2 * self.generation))
        moving = norm / decay < (1.4 + 2 / (n + 1)) * length
        self.path = (1 - c_c) * self.path
        if moving:
            self.path = self.path + math.sqrt(c_c * (2 - c_c) * mu_eff) * step
        lost = 0.0 if moving else c_1 * c_c * (2 - c_c)
        rank_one: Float = self.path**2 if vectors is None else np.outer(self.path, self.path)
        rank_mu: Float = weights @ steps**2 if vectors is None else (steps.T * weights) @ steps
        self.covariance = (
            (1 - c_1 - c_mu + lost) * self.covariance + c_1 * rank_one + c_mu * rank_mu
        )
        self.sigma *= math.exp(min(1.0, (c_sigma / d_sigma) * (norm / length - 1)))
        self._axes = None

    def state(self) -> dict[str, Float | int | float]:
        """Return all that it remembers."""
        return {
            "mean": self.mean,
            "sigma": self.sigma,
            "covariance": self.covariance,
            "path": self.path,
            "sigma_path": self.sigma_path,
            "cma_generation": self.generation,
        }

    @classmethod
    def restored(cls, state: Mapping[str, object]) -> CMA:
        """Return one that goes on from what `state` gave."""
        cma = cls(cast(Float, state["mean"]), cast(float, state["sigma"]))
        cma.covariance = cast(Float, state["covariance"])
        cma.path, cma.sigma_path = cast(Float, state["path"]), cast(Float, state["sigma_path"])
        cma.generation = cast(int, state["cma_generation"])
        return cma

    def _decomposed(self) -> tuple[Float | None, Float]:
        """Return eigenvectors, as columns (None: the axes), and the square roots of the eigenvalues."""
        if self._axes is None and self.covariance.ndim == 1:
            self._axes = None, np.sqrt(self.covariance)
        if self._axes is None:
            self.covariance = (self.covariance + self.covariance.T) / 2
            values, vectors = np.linalg.eigh(self.covariance)
            if not (values[0] > 0 and values[-1] < values[0] * _MAX_CONDITION):
                self.covariance = np.eye(self.mean.size)
                values, vectors = np.ones(self.mean.size), np.eye(self.mean.size)
            self._axes = vectors, np.sqrt(values)
        return self._axes
