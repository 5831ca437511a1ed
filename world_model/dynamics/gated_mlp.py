"""Dynamics that write a learned change through gates, which leave what is not touched exactly as it is."""

from torch import Tensor, nn

from world_model.dynamics.residual_mlp import ResidualMLPDynamics


class GatedMLPDynamics(ResidualMLPDynamics):
    """Predicts the change of the embedding, and a gate for each of its numbers, by a multi-layer perceptron.

    The state of the world mostly stays: what a robot does not touch is copied to the last bit, however far ahead is
    imagined, and error does not pile up there. Untrained, it predicts that nothing changes.

    Args:
        layout: How an embedding is divided.
        action_dim: Size of an encoded action.
        context_length: Frames that it sees.
        hidden_dim: Width of every hidden layer.
        num_layers: Hidden layers.

    Raises:
        ValueError: A size is below 1.
    """

    def _writing(self, hidden: nn.Sequential, change: nn.Linear) -> nn.Module:
        return GatedChange(hidden, change)


class GatedChange(nn.Module):
    """A change times a gate.

    Args:
        hidden: From what is known to features.
        change: From features to a change.
    """

    def __init__(self, hidden: nn.Module, change: nn.Linear) -> None:
        super().__init__()
        self.hidden, self.change = hidden, change
        self.gate = nn.Linear(change.in_features, change.out_features)
        nn.init.constant_(self.gate.bias, _FIRST_LOGIT)

    def forward(self, known: Tensor) -> Tensor:
        """Returns the change `[..., embed_dim]` of what is known, `[..., known_dim]`; it is 0 at a shut gate."""
        features = self.hidden(known)
        change: Tensor = self.change(features) * self._opening(self.gate(features))
        return change

    def _opening(self, logits: Tensor) -> Tensor:
        """Returns the gates: a sigmoid that is stretched beyond 0..1 and cut off there (Louizos et al. 2018, eq. 10).

        In training a gate that is cut off passes a little gradient all the same, or it would stay so for ever.
        """
        stretched = (1 + 2 * _STRETCH) * logits.sigmoid() - _STRETCH
        opening = stretched.clamp(0, 1)
        if self.training:
            opening = opening + _LEAK * (stretched - stretched.detach())
        return opening


_FIRST_LOGIT = 1.0
_STRETCH = 0.1
_LEAK = 0.1
