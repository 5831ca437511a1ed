import math

import pytest
import torch

from world_model.objectives.gaussian_kl import gaussian_kl
from world_model.objectives.persistence import FIRST_SCALE, LAST_SCALE, SETTLED, persistence_loss, scale_at, shares


def test_a_known_loss():
    embeddings = torch.tensor([[[0.0], [1.0], [1.0]]])  # of three pairs of frames two differ by 1
    for progress, scale in ((0.0, FIRST_SCALE), (1.0, LAST_SCALE)):
        expected = 2 / 3 * math.log(1 + 1 / scale)
        torch.testing.assert_close(persistence_loss(embeddings, progress=progress), torch.tensor(expected))


def test_the_first_numbers_count_most_and_the_scale_falls_until_it_is_settled():
    counted = shares(5)
    assert (counted.diff() < 0).all() and float(counted.sum()) == pytest.approx(1)
    assert scale_at(0.0) == FIRST_SCALE and scale_at(SETTLED) == scale_at(1.0) == pytest.approx(LAST_SCALE)
    assert scale_at(0.1) > scale_at(0.2) > scale_at(0.5)


def test_what_rests_is_told_from_what_moves_at_once_and_its_few_leaps_are_left():
    """A linear encoder of two mixed signals: one is new in each frame, the other rests and seldom leaps."""
    generator = torch.Generator().manual_seed(0)
    num_windows, time = 2048, 4
    walk = torch.randn(num_windows, time, generator=generator)
    places, leaps = (torch.randn(num_windows, 1, generator=generator) for _ in range(2))
    leaping = (torch.rand(num_windows, 1, generator=generator) < 0.3) & (torch.arange(time) >= 2)
    thing = torch.where(leaping, leaps, places)
    seen = torch.stack([thing + 0.3 * walk, walk - 0.5 * thing], dim=2)
    weight = torch.eye(2).requires_grad_()
    optimizer = torch.optim.Adam([weight], 0.02)
    for step in range(300):
        embeddings = seen @ weight
        loss = persistence_loss(embeddings[..., :1], progress=step / 300)
        loss = loss + gaussian_kl(embeddings.flatten(0, 1), least_variance=1e-3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = torch.stack([(seen @ weight)[..., 0].flatten(), thing.flatten(), walk.flatten()]).detach()
    correlations = torch.corrcoef(found)[0].abs()
    assert correlations[1] > 0.995 and correlations[2] < 0.05
