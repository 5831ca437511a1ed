"""A latent variable tells several plausible futures apart (LeCun 2022, section 4.2): what all kinds share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from jepa_mpc.ranges import check_count, check_number
from world_model.layout import Layout
from world_model.perceptron import hidden_layers, zero_linear
from world_model.types import Explanation

INFORMATION = "information"
"""What z tells that the prior does not know, nats: it is watched, and no loss."""


@dataclass(frozen=True)
class Transition:
    """A step as the deterministic dynamics alone foresee it.

    Attributes:
        embedding: `[rows, embed_dim]`, before the step.
        action: `[rows, action_dim]`, encoded.
        prediction: `[rows, embed_dim]`, what the dynamics foresee with all that they remember.
    """

    embedding: Tensor
    action: Tensor
    prediction: Tensor

    @property
    def conditions(self) -> Tensor:
        """All of it, side by side."""
        return torch.cat([self.embedding, self.action, self.prediction], dim=1)

    def detach(self) -> "Transition":
        """Returns the same without a gradient."""
        return Transition(self.embedding.detach(), self.action.detach(), self.prediction.detach())

    def repeat(self, times: int) -> "Transition":
        """Returns the rows several times over, one after the other."""
        return Transition(*(torch.cat([part] * times) for part in (self.embedding, self.action, self.prediction)))


class Latent(nn.Module, ABC):
    """Adds to what the dynamics foresee a term h(embedding, action, prediction, z), on the blocks that have a future.

    A z is drawn from a prior p(z | embedding, action, prediction). All of them are told by *quantiles*, numbers in
    0..1: the same quantiles are the same luck, whatever is done.

    Args:
        layout: How an embedding is divided.
        action_dim: Size of an encoded action.
        sensors: Those whose blocks have several futures. The others, as those of the robot's own body, are as the
            dynamics foresee them (ego model).
        z_dim: Size of z.
        hidden_dim: Width of the hidden layers.
        weight: Of R(z) in the energy, at least 0: the squared error that a nat is worth.

    Raises:
        ValueError: There is no such block, or none is named, or a number is out of its range.
    """

    own: Tensor

    def __init__(
        self,
        *,
        layout: Layout,
        action_dim: int,
        sensors: Sequence[str],
        z_dim: int,
        hidden_dim: int,
        weight: float,
    ) -> None:
        super().__init__()
        blocks = layout.blocks
        if not sensors:
            raise ValueError(f"sensors must name at least one of the blocks {sorted(blocks)}, got none")
        for name in sensors:
            if name not in blocks:
                raise ValueError(f"sensors must name blocks among {sorted(blocks)}, got '{name}'")
        check_count("hidden_dim", hidden_dim, least=1)
        check_number("weight", weight, least=0)
        self._weight = weight
        own = torch.cat([torch.arange(block.start, block.stop) for name, block in blocks.items() if name in sensors])
        self.register_buffer("own", own, persistent=False)
        self._conditions_dim = 2 * layout.embed_dim + action_dim
        self.term = Term(conditions_dim=self._conditions_dim, z_dim=z_dim, hidden_dim=hidden_dim, output_dim=len(own))

    @property
    @abstractmethod
    def latent_dim(self) -> int:
        """How many quantiles tell a z."""

    @abstractmethod
    def imagine(self, transition: Transition, latents: Tensor | None) -> Tensor:
        """Returns where the step leads, `[rows, embed_dim]`.

        Args:
            transition: The step.
            latents: `[rows, latent_dim]`, quantiles, or None for the most probable z.
        """

    @abstractmethod
    def explain(self, transition: Transition, observed: Tensor, seen: Tensor) -> Explanation:
        """Finds the z that explains best what came.

        Args:
            transition: The step.
            observed: `[rows, embed_dim]`, what came.
            seen: `[rows, embed_dim]` bool, the dimensions of which it is known; elsewhere the explanation says what
                came.
        """

    @abstractmethod
    def learn(self, transition: Transition, observed: Tensor, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Infers z from what came, for training.

        Args:
            transition: The step.
            observed: `[rows, embed_dim]`, what came.
            generator: Of all random draws, on the CPU.

        Returns:
            Where the step leads with that z, `[rows, embed_dim]`, and scalars by name: losses, and `INFORMATION`.
        """

    def complete(self, transition: Transition, z: Tensor) -> Tensor:
        """Returns where steps lead with a z, `[rows, ..., embed_dim]`; z is `[rows, ..., z_dim]`."""
        change = self.term(transition.conditions, z)
        prediction = transition.prediction.view(len(z), *[1] * (z.ndim - 2), -1).expand(*z.shape[:-1], -1)
        return prediction.index_add(-1, self.own, change)


def squared_error(futures: Tensor, observed: Tensor, seen: Tensor) -> Tensor:
    """Returns the mean squared error over what was seen, 0 where nothing was.

    Args:
        futures: `[..., embed_dim]`.
        observed: Of the same shape, or one that is repeated to it.
        seen: Likewise, bool.
    """
    squares = torch.where(seen, (futures - observed).square(), 0.0)
    return squares.sum(dim=-1) / seen.sum(dim=-1).clamp_min(1)


class Term(nn.Module):
    """What z adds to a prediction: a perceptron of the conditions whose first hidden layer z shifts.

    Args:
        conditions_dim: Size of the conditions.
        z_dim: Size of z.
        hidden_dim: Width of both hidden layers.
        output_dim: Size of the term.
    """

    def __init__(self, *, conditions_dim: int, z_dim: int, hidden_dim: int, output_dim: int) -> None:
        super().__init__()
        self.conditions = nn.Linear(conditions_dim, hidden_dim)
        self.z = nn.Linear(z_dim, hidden_dim, bias=False)
        self.change = nn.Sequential(
            nn.SiLU(), nn.Linear(hidden_dim, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, output_dim)
        )

    def forward(self, conditions: Tensor, z: Tensor) -> Tensor:
        """Returns `[rows, ..., output_dim]` of conditions `[rows, conditions_dim]` and z `[rows, ..., z_dim]`."""
        shared = self.conditions(conditions).view(len(z), *[1] * (z.ndim - 2), -1)
        change: Tensor = self.change(shared + self.z(z))
        return change


def perceptron(input_dim: int, hidden_dim: int, output_dim: int) -> nn.Sequential:
    """Returns a perceptron of two hidden layers whose first outputs are 0, as odds that are even."""
    return nn.Sequential(*hidden_layers(input_dim, hidden_dim, 2), zero_linear(hidden_dim, output_dim))
