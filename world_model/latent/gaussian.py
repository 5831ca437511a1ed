"""A few numbers that tell futures apart, and may tell little: a variational bottleneck (Kingma & Welling 2014)."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Generator, Tensor

from jepa_mpc.ranges import check_count, check_number
from world_model.latent.base import INFORMATION, Latent, Transition, perceptron, squared_error
from world_model.layout import Layout
from world_model.types import Explanation


class GaussianLatent(Latent):
    """A z whose prior is a Gaussian of unit covariance; its mean depends on the state and the action.

    In training z is drawn from a Gaussian that has seen what came, and pays for what that tells: its divergence from
    the prior, in nats. Later it is found by gradient, from where that Gaussian and the prior have their means. Neither
    shapes an embedding but by the prediction.

    Args:
        layout: How an embedding is divided.
        action_dim: Size of an encoded action.
        sensors: Those whose blocks have several futures; see `Latent`.
        num_dims: Of z, at least 1.
        hidden_dim: Width of the hidden layers.
        weight: Of R(z) in the energy, and of the divergence beside the prediction loss; see `Latent`.
        num_inference_steps: Of the gradient, at least 0.
        inference_rate: Its step, stds of the prior, above 0.

    Raises:
        ValueError: There is no such block, or a number is out of its range.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        action_dim: int,
        sensors: Sequence[str] | None,
        num_dims: int,
        hidden_dim: int,
        weight: float,
        num_inference_steps: int,
        inference_rate: float,
    ) -> None:
        check_count("num_dims", num_dims, least=1)
        check_count("num_inference_steps", num_inference_steps, least=0)
        check_number("inference_rate", inference_rate, above=0)
        super().__init__(
            layout=layout,
            action_dim=action_dim,
            sensors=list(layout.blocks) if sensors is None else sensors,
            z_dim=num_dims,
            hidden_dim=hidden_dim,
            weight=weight,
        )
        self._num_dims = num_dims
        self._num_inference_steps, self._inference_rate = num_inference_steps, inference_rate
        self.prior = perceptron(self._conditions_dim, hidden_dim, num_dims)
        self.posterior = perceptron(self._conditions_dim + layout.embed_dim, hidden_dim, 2 * num_dims)

    @property
    def latent_dim(self) -> int:
        """A quantile for each dimension."""
        return self._num_dims

    def imagine(self, transition: Transition, latents: Tensor | None) -> Tensor:
        """Returns where the step leads with the z at quantiles of the prior; see `Latent.imagine`."""
        z: Tensor = self.prior(transition.conditions)
        if latents is not None:
            smallest = torch.finfo(latents.dtype).eps
            z = z + torch.special.ndtri(latents.clamp(smallest, 1 - smallest)).to(z)
        return self.complete(transition, z)

    def explain(self, transition: Transition, observed: Tensor, seen: Tensor) -> Explanation:
        """Descends the energy from two starts, and takes the least that it meets; see `Latent.explain`."""
        guess, _ = self._posterior(transition, torch.where(seen, observed, transition.prediction))
        center = self.prior(transition.conditions)
        energy_of = partial(
            self._energy, transition.repeat(2).detach(), observed.repeat(2, 1), seen.repeat(2, 1), center.repeat(2, 1)
        )
        z, energy = self._descend(energy_of, torch.cat([guess, center]).detach())
        start = energy.view(2, -1).argmin(dim=0)
        best = torch.arange(len(observed), device=z.device) + start * len(observed)
        return Explanation(embedding=self.complete(transition, z[best]), energy=energy[best])

    def learn(self, transition: Transition, observed: Tensor, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Draws z from the Gaussian that has seen what came; see `Latent.learn`."""
        given = transition.detach()
        mean, std = self._posterior(given, observed.detach())
        distance = mean - self.prior(given.conditions)
        divergence = (std.square() + distance.square() - 1 - 2 * std.log()).sum(dim=1).mean() / 2
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        embedding = self.complete(transition, mean + std * noise)
        return embedding, {"latent_divergence": self._weight * divergence, INFORMATION: divergence.detach()}

    def _descend(self, energy_of: Callable[[Tensor], Tensor], start: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the z with the least energy on the way down from a start, and that energy."""
        best, least = start, torch.full_like(start[:, 0], torch.inf)
        with torch.enable_grad():
            z = start.clone().requires_grad_()
            optimizer = torch.optim.Adam([z], lr=self._inference_rate)
            for step in range(self._num_inference_steps + 1):
                energy = energy_of(z)
                better = energy.detach() < least
                best = torch.where(better[:, None], z.detach(), best)
                least = torch.where(better, energy.detach(), least)
                if step < self._num_inference_steps:
                    (z.grad,) = torch.autograd.grad(energy.sum(), z)
                    optimizer.step()
        return best, least

    def _energy(self, transition: Transition, observed: Tensor, seen: Tensor, center: Tensor, z: Tensor) -> Tensor:
        """Returns E(x, y, z) + weight R(z), `[rows]`."""
        regularization = (z - center).square().sum(dim=1) / 2
        return squared_error(self.complete(transition, z), observed, seen) + self._weight * regularization

    def _posterior(self, transition: Transition, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and std of the Gaussian that has seen what came, each `[rows, num_dims]`; the std is below 1."""
        mean, spread = self.posterior(torch.cat([transition.conditions, observed], dim=1)).chunk(2, dim=1)
        return mean, spread.sigmoid()
