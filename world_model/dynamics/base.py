"""Where an action leads in embedding space: the interface that all dynamics share."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

State = tuple[Tensor, ...]
"""What a dynamics carries from one step to the next. It is its own; all that others know is that rows come first."""


class Dynamics(nn.Module, ABC):
    """Predicts embeddings one after the other, differentiably.

    Time: `actions[:, t]` is executed after `embeddings[:, t]` and leads to `embeddings[:, t + 1]`. Actions come as the
    world model's action encoder gives them.

    To follow is to begin with a longer past: `follow(begin(embeddings[:, :t + 1], actions[:, :t]), actions[:, t],
    embeddings[:, t + 1])` is `begin(embeddings[:, :t + 2], actions[:, :t + 1])`, and to step is to follow what was
    predicted. So a state can be carried through an episode of any length. Both are to predict and to take in, which
    lie apart for those who make of a prediction what is to come of it.
    """

    @property
    @abstractmethod
    def least_context(self) -> int:
        """The fewest frames that `begin` takes."""

    @abstractmethod
    def begin(self, embeddings: Tensor, actions: Tensor) -> State:
        """Takes in a past.

        Args:
            embeddings: `[rows, context, embed_dim]`, the newest last; at least `least_context` of them.
            actions: `[rows, context - 1, action_dim]`, those between them.
        """

    @abstractmethod
    def predict(self, state: State, action: Tensor) -> tuple[State, Tensor]:
        """Tells where an action leads, before it is known what comes of it.

        Args:
            state: Of `begin`, `take_in`, `follow` or `step`.
            action: `[rows, action_dim]`.

        Returns:
            What `take_in` goes on from, and what the action leads to, `[rows, embed_dim]`.
        """

    @abstractmethod
    def take_in(self, foretold: State, embedding: Tensor) -> State:
        """Goes on by what came of an action, or what is taken to come of it.

        Args:
            foretold: Of `predict`.
            embedding: `[rows, embed_dim]`.
        """

    def follow(self, state: State, action: Tensor, embedding: Tensor) -> State:
        """Goes on by one action and what really came of it.

        Args:
            state: Of `begin`, `take_in`, `follow` or `step`.
            action: `[rows, action_dim]`.
            embedding: `[rows, embed_dim]`, what it led to.
        """
        foretold, _ = self.predict(state, action)
        return self.take_in(foretold, embedding)

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor]:
        """Goes on by one action, as if what it predicted before had come.

        Args:
            state: Of `begin`, `take_in`, `follow` or `step`.
            action: `[rows, action_dim]`.

        Returns:
            The next state, and what the action leads to, `[rows, embed_dim]`.
        """
        foretold, prediction = self.predict(state, action)
        return self.take_in(foretold, prediction), prediction

    @abstractmethod
    def foresee(self, state: State, actions: Tensor, embeddings: Tensor) -> tuple[State, Tensor]:
        """Follows actions and what came of them, all at once, and tells of each what it would have been.

        Args:
            state: Of `begin`, `take_in`, `follow` or `step`.
            actions: `[rows, time, action_dim]`.
            embeddings: `[rows, time, embed_dim]`, what they led to.

        Returns:
            The state after the last, and what was predicted of each before it came, `[rows, time, embed_dim]`.
        """
