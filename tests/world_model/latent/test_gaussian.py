import torch
from torch import Generator

from world_model.latent.base import Transition
from world_model.latent.gaussian import GaussianLatent
from world_model.layout import Layout

VALUES = {
    "sensors": None,
    "num_dims": 1,
    "hidden_dim": 8,
    "weight": 0.1,
    "num_inference_steps": 200,
    "inference_rate": 0.02,
}


def make(**changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        latent = GaussianLatent(layout=Layout({"coin": slice(0, 2)}), action_dim=1, **VALUES | changes)
    for index, network in enumerate((latent.prior, latent.posterior)):
        torch.nn.init.normal_(network[-1].weight, generator=Generator().manual_seed(index))
    return latent


def steps(rows=20):
    generator = Generator().manual_seed(1)
    return Transition(*(torch.randn(rows, size, generator=generator) for size in (2, 1, 2)))


def test_the_energy_is_that_of_the_best_z_on_a_fine_grid():
    latent, transition, observed = make(), steps(), torch.randn(20, 2, generator=Generator().manual_seed(2))
    found = latent.explain(transition, observed, torch.ones_like(observed, dtype=torch.bool))
    offsets = torch.linspace(-4, 4, 2001)
    z = (latent.prior(transition.conditions)[:, None] + offsets[:, None]).detach()
    energies = (latent.complete(transition, z) - observed[:, None]).square().mean(dim=2) + 0.05 * offsets.square()
    torch.testing.assert_close(found.energy, energies.amin(dim=1), rtol=0, atol=1e-3)


def test_more_steps_of_inference_find_no_more_energy():
    transition, observed = steps(), torch.randn(20, 2, generator=Generator().manual_seed(2))
    seen = torch.ones_like(observed, dtype=torch.bool)
    energies = [
        make(num_inference_steps=number, inference_rate=0.2).explain(transition, observed, seen).energy
        for number in (0, 5, 50)
    ]
    assert (energies[0] >= energies[1]).all() and (energies[1] >= energies[2]).all()
    assert energies[0].mean() > energies[1].mean() > energies[2].mean()


def test_what_z_tells_is_its_divergence_from_the_prior():
    latent, transition, observed = make(num_dims=3), steps(), torch.randn(20, 2, generator=Generator().manual_seed(2))
    _, told = latent.learn(transition, observed, Generator())
    mean, spread = latent.posterior(torch.cat([transition.conditions, observed], dim=1)).chunk(2, dim=1)
    posterior = torch.distributions.Normal(mean, spread.sigmoid())
    prior = torch.distributions.Normal(latent.prior(transition.conditions), torch.ones(3))
    divergence = torch.distributions.kl_divergence(posterior, prior).sum(dim=1).mean()
    torch.testing.assert_close(told["information"], divergence)
    torch.testing.assert_close(told["latent_divergence"], 0.1 * divergence)


def test_quantiles_are_those_of_a_normal_around_the_priors_mean():
    latent, transition = make(), steps(1)
    for quantile, offset in ((0.5, 0.0), (0.8413447, 1.0), (0.0227501, -2.0)):
        expected = latent.complete(transition, latent.prior(transition.conditions) + offset)
        torch.testing.assert_close(latent.imagine(transition, torch.tensor([[quantile]])), expected, atol=1e-4, rtol=0)


def test_the_draw_in_training_is_the_generators():
    latent, transition, observed = make(), steps(), torch.zeros(20, 2)
    first, again, other = (latent.learn(transition, observed, Generator().manual_seed(seed))[0] for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.isclose(first, other).all()
