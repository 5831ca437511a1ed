from dataclasses import replace

import pytest
import torch

from agent.cost.intrinsic import ControlEffort, GoalDistance
from agent.cost.types import CostModule
from agent.learning.hindsight import Hindsight, HindsightSampler
from agent.learning.practice import Demonstrations, practise
from agent.objective import ImaginedCost
from planners.cem import CEM
from planners.types import ActionBounds, Budget
from world_model.types import LatentContext, LatentGoal

HORIZON, ACTION_REPEAT = 4, 2
BOX = ActionBounds(low=-torch.ones(3), high=torch.ones(3))


@pytest.fixture
def world(integrator):
    """A point that a model step of two control steps moves by up to 0.2 along each axis."""
    integrator.control_action_dim, integrator.action_dim = 3, 3 * ACTION_REPEAT
    integrator.action_repeat = ACTION_REPEAT
    return integrator


@pytest.fixture
def sampler(remember):
    """Moments and goals anywhere in a box that is five steps wide; only the position is asked for."""
    positions = torch.rand(40, 5, 3, generator=torch.Generator().manual_seed(0))
    frames = torch.cat([positions, torch.zeros(40, 5, 2)], dim=2)
    experience = remember(
        frames,
        actions=torch.zeros(40, 4, 3),
        blocks={"position": slice(0, 3), "clock": slice(3, 5)},
        action_repeat=ACTION_REPEAT,
    )
    return HindsightSampler(
        experience,
        episodes=torch.arange(40),
        hindsight=Hindsight(any_time_share=0.0, future_share=0.5, task_share=1.0, partial_share=0.0),
        task_sensors=["position"],
        num_ahead=1,
    )


@pytest.fixture
def cost():
    return CostModule(
        terms={"goal_distance": GoalDistance(last_step_weight=3.0), "control_effort": ControlEffort()},
        weights={"goal_distance": 1.0, "control_effort": 1e-4},
        limits={},
    )


def cem(num_samples=128):
    return CEM(
        num_samples=num_samples,
        num_iterations=6,
        num_elites=12,
        init_std=0.7,
        warm_std=0.2,
        min_std=0.01,
        momentum=0.0,
        noise_exponent=0.0,
        num_knots=None,
        return_mean=False,
    )


@pytest.fixture
def make(sampler, world, cost):
    def make(*, seed=0, num_plans=20, num_imitated=1, horizon=HORIZON, planner=None, bounds=BOX, still=None):
        return practise(
            sampler,
            world_model=world,
            cost=cost,
            planner=planner or cem(),
            bounds=bounds,
            still=torch.zeros(3) if still is None else still,
            horizon=horizon,
            num_plans=num_plans,
            num_imitated=num_imitated,
            generator=torch.Generator().manual_seed(seed),
            num_threads=1,
        )

    return make


def tensors(demonstrations):
    goal = demonstrations.goal
    return demonstrations.embedding, goal.embedding, goal.mask, demonstrations.action


def same(first, second):
    return all(torch.equal(ours, theirs) for ours, theirs in zip(tensors(first), tensors(second), strict=True))


def test_mode_2_shows_the_straight_way(make):
    """Each axis goes as fast as it can, or just as far as it must."""
    shown = make(num_plans=40)
    straight = ((shown.goal.embedding - shown.embedding)[:, :3] / (0.1 * ACTION_REPEAT)).clamp(-1.0, 1.0)
    assert (shown.action - straight).abs().mean() < 0.15
    assert shown.action.abs().max() <= 1.0
    lazy = torch.zeros_like(straight)
    assert (lazy - straight).abs().mean() > 0.5


def test_what_is_shown_is_what_the_planner_plans_from_there(make, world, cost):
    shown = make(num_plans=6, num_imitated=HORIZON)
    start = shown.embedding.view(6, HORIZON, 5)[:, 0]
    goal = LatentGoal(
        embedding=shown.goal.embedding.view(6, HORIZON, 5)[:, 0], mask=shown.goal.mask.view(6, HORIZON, 5)[:, 0]
    )
    context = LatentContext(
        embeddings=start[:, None],
        actions=torch.zeros(6, 0, 3 * ACTION_REPEAT),
        previous_action=torch.zeros(6, 3 * ACTION_REPEAT),
    )
    objective = ImaginedCost(world_model=world, cost=cost, context=context, goal=goal, action_repeat=ACTION_REPEAT)
    bounds, planner = BOX, cem(num_samples=512)
    noise = planner.sample_noise(
        [torch.Generator().manual_seed(seed) for seed in range(6)], bounds=bounds, horizon=HORIZON
    )
    state = planner.init(bounds, batch_size=6, horizon=HORIZON)
    best, _ = planner.plan(objective, state, noise=noise, bounds=bounds, budget=Budget())
    ours = objective(shown.action.view(6, 1, HORIZON, 3)).cost[:, 0]
    still = objective(torch.zeros(6, 1, HORIZON, 3)).cost[:, 0]
    assert (ours - best.cost < 0.02 * (still - best.cost)).all()


@pytest.mark.parametrize("num_imitated", [1, 2, HORIZON])
def test_each_action_is_shown_where_it_is_taken(make, num_imitated):
    shown = make(num_plans=7, num_imitated=num_imitated)
    assert len(shown.embedding) == len(shown.action) == len(shown.goal.mask) == 7 * num_imitated
    places, actions = shown.embedding.view(7, num_imitated, 5)[:, :, :3], shown.action.view(7, num_imitated, 3)
    torch.testing.assert_close(places[:, 1:], places[:, :-1] + 0.1 * ACTION_REPEAT * actions[:, :-1])
    goals = shown.goal.embedding.view(7, num_imitated, 5)
    assert torch.equal(goals, goals[:, :1].expand_as(goals))


def test_the_more_is_kept_of_a_plan_the_beginnings_are_the_same(make):
    one, three = make(num_imitated=1), make(num_imitated=3)
    assert torch.equal(three.action[::3], one.action) and torch.equal(three.embedding[::3], one.embedding)


def test_practice_begins_at_recorded_moments(make, sampler):
    recorded = sampler.sample(20_000, torch.Generator().manual_seed(9)).embedding.unique(dim=0)
    assert all((recorded == start).all(dim=1).any() for start in make().embedding)


def test_the_same_generator_shows_the_same_and_another_one_other_plans(make):
    assert same(make(), make())
    assert not same(make(), make(seed=1))
    torch.manual_seed(3)
    assert same(make(), make())


def test_as_many_plans_are_made_as_asked(make):
    for num_plans in (1, 16, 17, 33):  # beside, at and beyond the size of a batch
        assert len(make(num_plans=num_plans).action) == num_plans


def test_a_batch_is_planned_like_its_parts(make):
    """The first plans are the same however many follow in later batches."""
    assert torch.equal(make(num_plans=40).action[:16], make(num_plans=16).action)


@pytest.mark.parametrize("changes", [{"horizon": 2}, {"planner": cem(num_samples=32)}], ids=["horizon", "planner"])
def test_horizon_and_planner_change_what_is_shown(make, changes):
    assert not torch.equal(make(**changes).action, make().action)


def test_what_is_shown_starts_from_rest_and_changes_no_faster_than_it_may(make):
    limit = torch.tensor([0.2, 0.3, 0.4])
    bounds = replace(BOX, max_change=limit, previous_action=torch.zeros(1, 3))
    actions = make(num_plans=17, num_imitated=HORIZON, bounds=bounds).action.view(17, HORIZON, 3)
    changes = torch.diff(actions, dim=1, prepend=torch.zeros(17, 1, 3)).abs()
    assert (changes <= limit + 1e-6).all() and (changes[:, 0] > 0.9 * limit).any(dim=0).all()


def test_imagination_begins_after_the_still_action(make, world, monkeypatch):
    seen, rollout = [], world.rollout
    monkeypatch.setattr(world, "rollout", lambda context, actions: seen.append(context) or rollout(context, actions))
    still = torch.tensor([0.5, -0.25, 1.0])
    make(still=still, num_plans=2)
    assert seen and all(torch.equal(it.previous_action, still.repeat(2, ACTION_REPEAT)) for it in seen)


def test_no_gradient_is_kept(make):
    assert not any(tensor.requires_grad for tensor in tensors(make()))


# On the disk


def test_what_was_saved_is_read_back_under_the_same_identity_only(make, tmp_path):
    shown, path = make(), tmp_path / "policy" / "plans"
    assert Demonstrations.load(path, identity="ours") is None
    shown.save(path, identity="ours")
    assert same(Demonstrations.load(path, identity="ours"), shown)
    assert Demonstrations.load(path, identity="another") is None


@pytest.mark.parametrize("size", [0, 100, -1])
def test_what_is_damaged_is_not_read_back(make, tmp_path, size):
    path = tmp_path / "plans"
    make().save(path, identity="ours")
    path.write_bytes(path.read_bytes()[:size])
    assert Demonstrations.load(path, identity="ours") is None


def test_a_sample_keeps_together_what_belongs_together_and_draws_all(make):
    shown = make(num_plans=5)
    drawn = shown.sample(500, torch.Generator().manual_seed(0))
    rows = [int((shown.embedding == embedding).all(dim=1).nonzero()[0]) for embedding in drawn.embedding]
    assert set(rows) == set(range(5))
    for ours, all_of_them in zip(tensors(drawn), tensors(shown), strict=True):
        assert torch.equal(ours, all_of_them[rows])
    assert same(drawn, shown.sample(500, torch.Generator().manual_seed(0)))
