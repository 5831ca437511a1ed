import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from agent.cost.novelty import LEAST_RADIUS, Novelty, find_centers
from agent.cost.statistics import TrainingStatistics
from world_model.types import LatentGoal, LatentTrajectory

BLOCKS = {"tip": slice(0, 2), "object": slice(2, 5)}
GOAL = LatentGoal(embedding=torch.zeros(1, 5), mask=torch.ones(1, 5, dtype=torch.bool))
VALUES = {"num_centers": 32, "num_iterations": 20, "quantile": 0.99}


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fit(embeddings: Tensor, blocks: dict[str, slice] | None = None, **changes: float) -> Novelty:
    term = Novelty(**(VALUES | changes), blocks=BLOCKS if blocks is None else blocks, sensors={})
    term.fit(TrainingStatistics(embeddings=embeddings, readings={}, control_dt=0.05, action_repeat=1))
    return term


def novelty(term: Novelty, embeddings: Tensor) -> Tensor:
    """Returns the novelty of each row of `[rows, embed_dim]`, `[rows]`."""
    imagined = LatentTrajectory(
        embeddings=embeddings[None, :, None],
        actions=torch.zeros(1, len(embeddings), 1, 2),
        previous_action=torch.zeros(1, 2),
        start=torch.zeros(1, embeddings.shape[1]),
    )
    return term(imagined, GOAL)[0]


def test_unseen_data_of_the_same_kind_are_hardly_novel():
    term = fit(draw(4000, 5, seed=0))
    held_out = novelty(term, draw(4000, 5, seed=1))
    assert (held_out > 0).float().mean() < 0.04  # 1 % of the training data in each of two blocks
    assert held_out.mean() < 0.01


def test_it_grows_with_the_distance_from_the_data():
    directions = torch.nn.functional.normalize(draw(50, 5, seed=2), dim=1)
    term = fit(draw(4000, 5, seed=0))
    along = torch.stack([novelty(term, length * directions) for length in (4.0, 6.0, 10.0, 100.0)])
    assert (along.diff(dim=0) > 0).all()


def test_a_hole_in_the_data_is_novel():
    angle = torch.linspace(0, 2 * math.pi, 1001)[:1000][
        torch.randperm(1000, generator=torch.Generator().manual_seed(0))
    ]
    term = fit(torch.stack([angle.cos(), angle.sin()], dim=1), blocks={"orientation": slice(0, 2)})
    middle, on_the_ring = novelty(term, torch.tensor([[0.0, 0.0], [0.6, -0.8]]))
    assert on_the_ring == 0.0
    assert middle > 0.5  # the ring is a root mean square of 0.707 away


def test_the_distance_is_beyond_the_radius_summed_over_blocks_and_horizon():
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    data = torch.cat([corners, 3.0 * corners], dim=1)
    blocks = {"small": slice(0, 2), "large": slice(2, 4)}
    term = fit(data, blocks=blocks, num_centers=1, quantile=1.0)
    torch.testing.assert_close(term.centers, torch.zeros(1, 4))
    torch.testing.assert_close(term.radius, torch.tensor([1.0, 3.0]))  # root mean squares
    imagined = LatentTrajectory(
        embeddings=torch.tensor([[[[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 6.0, 8.0]]]]),
        actions=torch.zeros(1, 1, 2, 2),
        previous_action=torch.zeros(1, 2),
        start=torch.zeros(1, 4),
    )
    expected = (math.sqrt(12.5) - 1.0) + (math.sqrt(50.0) - 3.0)
    torch.testing.assert_close(term(imagined, GOAL), torch.tensor([[expected]]))


def test_with_a_centre_for_every_frame_it_is_the_distance_to_the_nearest_frame():
    data, queries = draw(64, 2, seed=3), draw(200, 2, seed=4)
    term = fit(data, blocks={"tip": slice(0, 2)}, num_centers=64)
    nearest = torch.cdist(queries, data).amin(dim=1) / math.sqrt(2)
    torch.testing.assert_close(novelty(term, queries), (nearest - LEAST_RADIUS).relu(), rtol=0.0, atol=1e-4)


def test_of_fewer_frames_than_centres_each_is_a_centre():
    data, queries = draw(20, 2, seed=3), draw(200, 2, seed=4)
    few, enough = (fit(data, blocks={"tip": slice(0, 2)}, num_centers=number) for number in (64, 20))
    torch.testing.assert_close(novelty(few, queries), novelty(enough, queries))


def test_the_quantile_is_the_share_that_is_not_novel():
    data = draw(2000, 2, seed=0)
    for quantile in (0.5, 0.9, 0.99):
        term = fit(data, blocks={"tip": slice(0, 2)}, quantile=quantile)
        assert abs((novelty(term, data) <= 1e-6).float().mean().item() - quantile) < 0.005


def test_centres_come_nearer_to_the_data_with_every_iteration():
    data = draw(2000, 3, seed=0)
    distortions = []
    for num_iterations in range(1, 11):
        centers = find_centers(data, num_centers=16, num_iterations=num_iterations)
        distortions.append(torch.cdist(data, centers).amin(dim=1).square().mean().item())
    assert all(later < earlier for earlier, later in pairwise(distortions))


def test_a_centre_that_is_nearest_to_nothing_stays_finite():
    data = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    assert torch.isfinite(find_centers(data, num_centers=2, num_iterations=5)).all()


@pytest.mark.parametrize("place", [0.0, 1e-6, 5.0])
def test_its_gradient_is_finite_where_a_block_never_varied(place):
    term = fit(torch.zeros(100, 5))
    embeddings = torch.full((1, 5), place).requires_grad_()
    novelty(term, embeddings).sum().backward()
    assert torch.isfinite(embeddings.grad).all()
    assert (embeddings.grad > 0).all() == (place == 5.0)


@pytest.mark.parametrize("change", [{"num_centers": 8}, {"num_iterations": 1}, {"quantile": 0.5}])
def test_every_value_matters(change):
    data, queries = draw(1000, 5, seed=0), 2.0 * draw(100, 5, seed=1)
    assert abs(novelty(fit(data, **change), queries) - novelty(fit(data), queries)).max() > 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_centers": 0}, "num_centers must be at least 1, got 0"),
        ({"num_iterations": 0}, "num_iterations must be at least 1, got 0"),
        ({"quantile": 1.1}, "quantile must be at least 0 and at most 1 and finite, got 1.1"),
    ],
)
def test_values_that_mean_nothing_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        fit(torch.zeros(100, 5), **change)
