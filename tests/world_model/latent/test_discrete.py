import pytest
import torch
from torch import Generator

from world_model.latent.base import Transition
from world_model.latent.discrete import DiscreteLatent
from world_model.layout import Layout

VALUES = {
    "sensors": None,
    "num_values": 3,
    "hidden_dim": 8,
    "weight": 0.1,
    "prior_weight": 0.1,
    "balance_weight": 0.1,
    "balance_share": 0.1,
}


def make(**changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        latent = DiscreteLatent(layout=Layout({"coin": slice(0, 2)}), action_dim=1, **VALUES | changes)
    torch.nn.init.normal_(latent.prior[-1].weight, std=2.0, generator=Generator().manual_seed(0))
    return latent


def steps(rows=50):
    generator = Generator().manual_seed(1)
    return Transition(*(torch.randn(rows, size, generator=generator) for size in (2, 1, 2)))


@torch.no_grad()
def test_the_least_energy_is_found_as_by_brute_force():
    latent, transition = make(), steps()
    observed = torch.randn(50, 2, generator=Generator().manual_seed(2))
    seen = torch.rand(50, 2, generator=Generator().manual_seed(3)) < 0.7
    found = latent.explain(transition, observed, seen)
    for index in range(50):
        row = Transition(*(part[index, None] for part in vars(transition).values()))
        probabilities = latent.prior(row.conditions)[0].softmax(dim=0)
        starts = torch.cat([torch.zeros(1), probabilities.cumsum(dim=0)[:-1]])
        energies, futures = [], []
        for start, probability in zip(starts, probabilities, strict=True):
            future = latent.imagine(row, (start + probability / 2)[None, None])[0]
            error = sum((future[dim] - observed[index, dim]) ** 2 for dim in range(2) if seen[index, dim])
            regularization = (probabilities.max() / probability).log()
            energies.append(float(error / max(int(seen[index].sum()), 1) + 0.1 * regularization))
            futures.append(future)
        best = min(range(3), key=energies.__getitem__)
        assert float(found.energy[index]) == pytest.approx(energies[best], rel=1e-4, abs=1e-6)
        torch.testing.assert_close(found.embedding[index], futures[best])


def test_a_value_comes_as_often_as_its_prior_says():
    latent, transition = make(), steps(1)
    quantiles = (torch.arange(10_000) + 0.5) / 10_000
    many = Transition(*(part.expand(10_000, -1) for part in vars(transition).values()))
    imagined, futures = latent.imagine(many, quantiles[:, None]), latent.futures(transition)[0]
    value = torch.cdist(imagined, futures).argmin(dim=1)
    shares = value.bincount(minlength=3) / 10_000
    torch.testing.assert_close(shares, latent.log_odds(transition)[0].exp(), rtol=0, atol=2e-4)


def train(latent, *, num_steps=300):
    """Teaches two outcomes, 1 at three of four throws, else -1."""
    optimizer, generator = torch.optim.Adam(latent.parameters(), lr=1e-2), Generator().manual_seed(0)
    for _ in range(num_steps):
        transition = Transition(torch.zeros(64, 2), torch.zeros(64, 1), torch.zeros(64, 2))
        observed = torch.where(torch.rand(64, 1, generator=generator) < 0.75, 1.0, -1.0).expand(-1, 2)
        embedding, losses = latent.learn(transition, observed, generator)
        losses.pop("information")
        optimizer.zero_grad()
        ((embedding - observed).square().mean() + sum(losses.values())).backward()
        optimizer.step()
    transition = Transition(torch.zeros(1, 2), torch.zeros(1, 1), torch.zeros(1, 2))
    with torch.no_grad():
        return latent.futures(transition)[0, :, 0], latent.log_odds(transition)[0].exp()


def test_outcomes_and_their_odds_are_learned():
    futures, odds = train(make(num_values=2))
    torch.testing.assert_close(futures.sort().values, torch.tensor([-1.0, 1.0]), rtol=0, atol=0.05)
    assert float(odds[futures.argmax()]) == pytest.approx(0.75, abs=0.05)


@pytest.mark.parametrize(("balance_weight", "dies"), [(0.1, False), (0.0, True)])
def test_no_value_dies(balance_weight, dies):
    """A value that starts far from all that comes would never win, and never learn."""
    latent = make(num_values=2, balance_weight=balance_weight)
    with torch.no_grad():
        latent.term.z.weight[:, 1] = 50 * latent.term.z.weight[:, 1].sign()
    futures, _ = train(latent)
    nearest = (futures[:, None] - torch.tensor([-1.0, 1.0])).abs().amin(dim=0)
    assert (float(nearest.max()) > 0.5) == dies
