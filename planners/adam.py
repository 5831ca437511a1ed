"""Adam: gradient descent whose step does not depend on the scale of the gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor

_EPSILON = 1e-12
"""Keeps a step without a gradient at 0; far below any gradient, so that the unit of the cost does not matter."""


@dataclass(frozen=True)
class Moments:
    """Running averages over the steps so far, of the shape of the variable.

    Attributes:
        mean: Of the gradient.
        square: Of its square.
        num_steps: So far.
    """

    mean: Tensor
    square: Tensor
    num_steps: int


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adaptive moment estimation (Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1).

    Attributes:
        learning_rate: Length of the first step in each dimension, above 0.
        beta1: Share of the old mean of the gradient that a step keeps, in [0, 1).
        beta2: Share of the old mean of its square that a step keeps, in [0, 1).

    Raises:
        ValueError: A parameter is out of its range.
    """

    learning_rate: float
    beta1: float
    beta2: float

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be above 0 and finite, got {self.learning_rate}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    def init(self, variable: Tensor) -> Moments:
        """Returns the moments of a variable that has made no step."""
        return Moments(mean=torch.zeros_like(variable), square=torch.zeros_like(variable), num_steps=0)

    def step(self, gradient: Tensor, moments: Moments) -> tuple[Tensor, Moments]:
        """Returns the change of the variable, of the shape of its gradient, and the moments after it."""
        mean = torch.lerp(gradient, moments.mean, self.beta1)
        square = torch.lerp(gradient.square(), moments.square, self.beta2)
        num_steps = moments.num_steps + 1
        rate = self.learning_rate * (1 - self.beta2**num_steps) ** 0.5 / (1 - self.beta1**num_steps)
        change = -rate * mean / (square.sqrt() + _EPSILON)
        return change, Moments(mean=mean, square=square, num_steps=num_steps)
