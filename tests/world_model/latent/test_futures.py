import torch
from torch import Generator

from world_model.latent.futures import draw_latents

SIZES = {"num_futures": 8, "horizon": 5, "latent_dim": 2}


def draw(*seeds, **changes):
    return draw_latents([Generator().manual_seed(seed) for seed in seeds], **SIZES | changes)


def test_each_eighth_of_the_luck_is_drawn_from_once_at_each_step():
    latents = draw(0, 1, 2)
    assert latents.shape == (3, 8, 5, 2)
    parts = (latents * 8).floor().sort(dim=1).values
    assert torch.equal(parts, torch.arange(8.0)[None, :, None, None].expand(3, -1, 5, 2))


def test_each_number_alone_is_uniform():
    latents = draw(*range(2000), num_futures=2)
    for quantile in (0.1, 0.5, 0.9):
        shares = (latents < quantile).float().mean(dim=0)
        assert (shares - quantile).abs().max() < 4 * 0.5 / 2000**0.5


def test_the_luck_of_steps_is_independent():
    latents = draw(*range(2000), num_futures=4)[:, 0, :, 0]
    correlations = torch.corrcoef(latents.T) - torch.eye(5)
    assert correlations.abs().max() < 4 / 2000**0.5


def test_a_problem_has_its_own_luck_whatever_else_is_drawn():
    assert torch.equal(draw(3, 4)[1], draw(4)[0])
    assert not torch.equal(draw(3, 4)[0], draw(3, 4)[1])
