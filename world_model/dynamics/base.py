"""Where an action leads in embedding space: the interface that all dynamics share."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

State = tuple[Tensor, ...]
"""What a dynamics carries from one step to the next. It is its own; all that others know is that rows come first."""


class Dynamics(nn.Module, ABC):
    """Predicts embeddings one after the other, differentiably.

    Time: `actions[:, t]` is executed after `embeddings[:, t]` and leads to `embeddings[:, t + 1]`. Actions come as the
    world model's action encoder gives them.
    """

    @abstractmethod
    def begin(self, embeddings: Tensor, actions: Tensor) -> State:
        """Takes in a context.

        Args:
            embeddings: `[rows, context, embed_dim]`, the newest last.
            actions: `[rows, context - 1, action_dim]`, those between them.
        """

    @abstractmethod
    def step(self, state: State, action: Tensor) -> tuple[State, Tensor]:
        """Goes on by one action, as if what it predicted before had come.

        Args:
            state: Of `begin`, or of the step before.
            action: `[rows, action_dim]`.

        Returns:
            The next state, and what the action leads to, `[rows, embed_dim]`.
        """

    def arrive(self, state: State, embedding: Tensor) -> State:
        """Returns the state with another embedding in place of what the last step predicted.

        By default that is the first part of the state, `[rows, embed_dim]`, which nothing older holds.

        Args:
            state: Of a step.
            embedding: `[rows, embed_dim]`, what came.
        """
        return embedding, *state[1:]

    @abstractmethod
    def foresee(self, embeddings: Tensor, actions: Tensor) -> Tensor:
        """Returns what each action leads to from the true embeddings before it, all at once.

        Args:
            embeddings: `[rows, time, embed_dim]`.
            actions: `[rows, time, action_dim]`.

        Returns:
            `[rows, foreseen, embed_dim]`, of the last `foreseen` actions: those with a context that is long enough,
            which for a causal dynamics are all, and else `max(time + 1 - context, 0)`.
        """
