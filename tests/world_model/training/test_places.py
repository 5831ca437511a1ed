import pytest
import torch

from world_model.encoders.projector import Projector
from world_model.training.places import REST_SCALE, AffineMap, find_places, order_of_persistence

NUM_WINDOWS, TIME, PERSISTENT_DIM = 4096, 7, 8


def draw(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape, seed):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def world():
    """A robot that walks a square of side 2, and in a third of the windows takes a thing along from some step on."""
    ways = 0.2 * draw(NUM_WINDOWS, TIME - 1, 2, seed=0)
    so_far = torch.cat([torch.zeros(NUM_WINDOWS, 1, 2), ways.cumsum(dim=1)], dim=1)
    robot = 2 * uniform(NUM_WINDOWS, 1, 2, seed=1) - 1 + so_far
    takes_along = torch.where(uniform(NUM_WINDOWS, seed=2) < 1 / 3, 0, TIME)[:, None]  # the first such step
    takes_along = takes_along + torch.randint(2, (NUM_WINDOWS, 1), generator=torch.Generator().manual_seed(3))
    is_moved = torch.arange(TIME - 1) >= takes_along
    moved = torch.cat([torch.zeros(NUM_WINDOWS, 1, 2), (ways * is_moved[:, :, None]).cumsum(dim=1)], dim=1)
    thing = 2 * uniform(NUM_WINDOWS, 1, 2, seed=4) - 1 + moved
    return ways, thing, robot


@pytest.fixture(scope="module")
def encoder(world):
    """What an encoder knows, in numbers that bend, and a last layer of waves of both, the thing's first."""
    _, thing, robot = world
    known = torch.cat([thing, robot], dim=2)
    hidden = torch.tanh(known @ draw(4, 128, seed=5) + draw(128, seed=6))
    waves = [(turns * part).sin() for part in (thing, robot) for turns in (0.8, 1.6)]
    waves += [(turns * part).cos() for part in (thing, robot) for turns in (0.8, 1.6)]
    told = torch.cat([*waves[:2], *waves[4:6], *waves[2:4], *waves[6:]], dim=2)
    hidden, told = hidden.double(), told.double() + 0.01 * draw(*told.shape, seed=7)
    return hidden, AffineMap.fit(hidden, told)


def correlations(found, truth):
    """Returns R² of each number of the truth, told linearly."""
    told = AffineMap.fit(found, truth)(found)
    return 1 - (told - truth).square().flatten(0, 1).mean(0) / truth.flatten(0, 1).var(0)


def test_places_are_found_straight_and_in_one_unit(world, encoder):
    ways, thing, robot = world
    hidden, last = encoder
    before = last(hidden)
    found = find_places(hidden, ways, last=last, persistent_dim=PERSISTENT_DIM)(hidden)
    assert found.shape == before.shape
    assert (correlations(found[..., :2], thing.double()) > 0.98).all()
    assert (correlations(found[..., -2:], robot.double()) > 0.98).all()
    maps = [
        AffineMap.fit(part, truth.double()).weight
        for part, truth in ((found[..., :2], thing), (found[..., -2:], robot))
    ]
    unit = maps[0].trace() / 2
    for it in maps:
        torch.testing.assert_close(it / unit, torch.eye(2, dtype=torch.float64), atol=0.1, rtol=0)


@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-2])
def test_where_nothing_is_ever_moved_the_robot_is_found_all_the_same(world, noise):
    ways, _, robot = world
    still = 1 + noise * draw(NUM_WINDOWS, TIME, 1, seed=8)
    hidden = torch.cat([still, robot, robot.square()], dim=2).double()
    last = AffineMap(torch.eye(6, 5, dtype=torch.float64), torch.zeros(6, dtype=torch.float64))
    found = find_places(hidden, ways, last=last, persistent_dim=1)(hidden)
    assert found.isfinite().all() and (correlations(found[..., -2:], robot.double()) > 0.98).all()
    assert found[..., -2:].flatten(0, 1).std(dim=0).max() < 3


def test_a_robot_that_stands_still_most_of_the_time_is_found(world):
    ways, _, robot = world
    stands = uniform(NUM_WINDOWS, 1, 1, seed=8) < 0.6
    place = torch.where(stands, robot[:, :1], robot)
    hidden = torch.cat([place, place.square()], dim=2).double()
    last = AffineMap(torch.eye(5, 4, dtype=torch.float64), torch.zeros(5, dtype=torch.float64))
    found = find_places(hidden, ways * ~stands, last=last, persistent_dim=2)(hidden)
    assert (correlations(found[..., -2:], place.double()) > 0.98).all()


def test_what_is_left_is_in_order_and_says_nothing_of_places_over_again(world, encoder):
    ways, _, _ = world
    hidden, last = encoder
    found = find_places(hidden, ways, last=last, persistent_dim=PERSISTENT_DIM)(hidden)
    assert found.shape[2] == 16
    assert found[..., [0, 1, -2, -1]].flatten(0, 1).mean(dim=0).abs().max() < 1e-6
    everything = torch.corrcoef(found.flatten(0, 1).T)
    assert everything[2:-2, [0, 1, -2, -1]].abs().max() < 1e-6
    spread = found[:, [0, 2], 2:-2].flatten(0, 1).std(dim=0)  # the frames by which the order is found
    torch.testing.assert_close(spread, torch.full_like(spread, REST_SCALE), atol=1e-3, rtol=0)
    unrest = (found[:, 2, 2:-2] - found[:, 0, 2:-2]).abs().median(dim=0).values
    assert unrest[:3].mean() < 0.5 * unrest[-3:].mean()


def test_what_rests_comes_before_what_trembles_and_leaps_hardly_count():
    """Three mixed signals: one rests and seldom leaps, one trembles a little, one trembles more."""
    num_windows = 8192
    leaps = uniform(num_windows, seed=9) < 0.05
    rests, trembles, shakes = draw(3, num_windows, seed=0)
    before = torch.stack([rests, trembles, shakes], dim=1)
    after = torch.stack(
        [
            torch.where(leaps, draw(num_windows, seed=1), rests),
            trembles + 0.2 * draw(num_windows, seed=2),
            shakes + 0.4 * draw(num_windows, seed=3),
        ],
        dim=1,
    )
    mixing, offset = draw(3, 3, seed=4), draw(3, seed=5)
    in_order = order_of_persistence(before @ mixing + offset, after @ mixing + offset)
    frames = torch.cat([before, after])
    found = in_order((frames @ mixing + offset).double())
    torch.testing.assert_close(torch.cov(found.T), torch.eye(3, dtype=torch.float64), atol=1e-3, rtol=0)
    likeness = torch.corrcoef(torch.cat([found.T, frames.T.double()]))[:3, 3:].abs()
    assert (likeness.diagonal() > 0.98).all()


def test_an_order_is_found_where_a_number_says_nothing():
    before = draw(64, 3, seed=0)
    before[:, 1] *= 1e-5
    after = before + 0.1 * draw(64, 3, seed=1) * torch.tensor([1.0, 0.0, 3.0])
    in_order = order_of_persistence(before, after)
    found = in_order(torch.cat([before, after]).double())
    assert in_order.weight.isfinite().all() and (found.std(dim=0)[:2] > 0.9).all() and found.std(dim=0)[2] < 1e-3


def test_a_head_shows_what_comes_before_its_last_layer_as_long_as_it_is_asked():
    head = Projector(input_dim=4, hidden_dim=8, embed_dim=5).eval()
    features = draw(10, 4, seed=0)
    with head.before_last() as parts:
        embedding = head(features)
    head(features)
    (hidden,) = parts
    torch.testing.assert_close(AffineMap(head.last.weight, head.last.bias)(hidden), embedding)


def test_affine_maps_follow_each_other():
    first, second = (AffineMap(draw(3, 3, seed=seed), draw(3, seed=seed + 2)) for seed in range(2))
    values = draw(5, 3, seed=6)
    torch.testing.assert_close(second.after(first)(values), second(first(values)))
    torch.testing.assert_close(second.minus(first)(values), second(values) - first(values))
    torch.testing.assert_close(
        AffineMap.together(first, second)(values), torch.cat([first(values), second(values)], dim=1)
    )
    torch.testing.assert_close(AffineMap.fit(values, first(values)).weight, first.weight, atol=1e-4, rtol=1e-4)
