"""A choice among a few futures: trained by the best of them, found by trying them all."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

from jepa_mpc.ranges import check_count, check_number
from world_model.latent.base import INFORMATION, Latent, Transition, perceptron, squared_error
from world_model.layout import Layout
from world_model.types import Explanation


class DiscreteLatent(Latent):
    """A z of a few values, of which the one that foresees best what came learns from it (Guzman-Rivera et al. 2012).

    Once values have specialised, one that never wins would never learn. So each value also learns from the share of
    the rows in which it is the nearest to winning: where it wins anyway, or where it may begin to.

    The prior learns how often each value wins, by cross-entropy. It shapes no embedding.

    Args:
        layout: How an embedding is divided.
        action_dim: Size of an encoded action.
        sensors: Those whose blocks have several futures; see `Latent`.
        num_values: Of z, at least 1: futures of a step.
        hidden_dim: Width of the hidden layers.
        weight: Of R(z) in the energy, by which z is inferred; see `Latent`.
        prior_weight: Of the cross-entropy of the prior beside the prediction loss, above 0.
        balance_weight: Of what each value learns so that it does not die, at least 0.
        balance_share: Share of the rows from which it does, above 0 and at most 1.

    Raises:
        ValueError: There is no such block, or a number is out of its range.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        action_dim: int,
        sensors: Sequence[str] | None,
        num_values: int,
        hidden_dim: int,
        weight: float,
        prior_weight: float,
        balance_weight: float,
        balance_share: float,
    ) -> None:
        check_count("num_values", num_values, least=1)
        check_number("prior_weight", prior_weight, above=0)
        check_number("balance_weight", balance_weight, least=0)
        check_number("balance_share", balance_share, above=0, most=1)
        super().__init__(
            layout=layout,
            action_dim=action_dim,
            sensors=list(layout.blocks) if sensors is None else sensors,
            z_dim=num_values,
            hidden_dim=hidden_dim,
            weight=weight,
        )
        self._num_values = num_values
        self._prior_weight = prior_weight
        self._balance_weight, self._balance_share = balance_weight, balance_share
        self.prior = perceptron(self._conditions_dim, hidden_dim, num_values)

    @property
    def latent_dim(self) -> int:
        """One quantile tells a value."""
        return 1

    def log_odds(self, transition: Transition) -> Tensor:
        """Returns log p(z | embedding, action, prediction), `[rows, num_values]`."""
        return functional.log_softmax(self.prior(transition.conditions), dim=1)

    def futures(self, transition: Transition) -> Tensor:
        """Returns where the step leads with each value, `[rows, num_values, embed_dim]`."""
        values = torch.eye(self._num_values, dtype=transition.prediction.dtype, device=transition.prediction.device)
        return self.complete(transition, values.expand(len(transition.prediction), -1, -1))

    def imagine(self, transition: Transition, latents: Tensor | None) -> Tensor:
        """Returns where the step leads with the value at a quantile; see `Latent.imagine`."""
        log_odds = self.log_odds(transition)
        if latents is None:
            value = log_odds.argmax(dim=1)
        else:
            value = (latents >= log_odds.exp().cumsum(dim=1)[:, :-1]).sum(dim=1)
        return self.complete(transition, functional.one_hot(value, self._num_values).to(log_odds))

    def explain(self, transition: Transition, observed: Tensor, seen: Tensor) -> Explanation:
        """Tries all values; see `Latent.explain`."""
        futures = self.futures(transition)
        energy, value = self._energies(self.log_odds(transition), futures, observed, seen).min(dim=1)
        return Explanation(embedding=_chosen(futures, value), energy=energy)

    def learn(
        self,
        transition: Transition,
        observed: Tensor,
        generator: Generator,  # noqa: ARG002 - it draws nothing
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Lets the best value learn, and the prior that it was the best; see `Latent.learn`."""
        futures, seen = self.futures(transition), torch.ones_like(observed, dtype=torch.bool)
        log_odds = self.log_odds(transition.detach())
        value = self._energies(log_odds, futures, observed, seen).argmin(dim=1)
        information = functional.nll_loss(log_odds, value)
        errors = squared_error(futures, observed[:, None], seen[:, None])  # [rows, num_values]
        behind = (errors - errors.amin(dim=1, keepdim=True)).detach()
        num_rows = max(round(self._balance_share * len(errors)), 1)
        nearest = behind.topk(num_rows, dim=0, largest=False).indices  # [num_rows, num_values]
        return _chosen(futures, value), {
            "latent_prior": self._prior_weight * information,
            "latent_balance": self._balance_weight * errors.gather(0, nearest).mean(),
            INFORMATION: information.detach(),
        }

    def _energies(self, log_odds: Tensor, futures: Tensor, observed: Tensor, seen: Tensor) -> Tensor:
        """Returns E(x, y, z) + weight R(z) of each value, `[rows, num_values]`."""
        regularization = log_odds.amax(dim=1, keepdim=True) - log_odds
        return squared_error(futures, observed[:, None], seen[:, None]) + self._weight * regularization


def _chosen(futures: Tensor, value: Tensor) -> Tensor:
    """Returns the future of each row's value, `[rows, embed_dim]`."""
    return futures[torch.arange(len(value), device=value.device), value]
