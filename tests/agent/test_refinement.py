"""A policy that is refined in the imagination of a world model that is perfect, and linear."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agent.actions import free_bounds
from agent.cost.intrinsic import ControlEffort, GoalDistance
from agent.cost.types import CostModule
from agent.learning.experience import Split
from agent.learning.hindsight import Transitions
from agent.learning.refinement import RefinementTask
from agent.objective import ImaginedCost
from agent.policy import MLPPolicy
from envs.spec import BoxActions
from planners.types import ActionBounds
from world_model.training.fit import fit
from world_model.types import LatentContext, LatentGoal

HORIZON = 4
BOX = ActionBounds(low=-torch.ones(3), high=torch.ones(3))
TERMS = {
    "terms": {"goal_distance": GoalDistance(last_step_weight=3.0), "control_effort": ControlEffort()},
    "weights": {"goal_distance": 1.0, "control_effort": 1e-3},
}


@pytest.fixture
def world(integrator):
    """A point that a model step of two control steps moves by up to 0.2 along each axis."""
    integrator.control_action_dim, integrator.action_dim, integrator.action_repeat = 3, 6, 2
    return integrator


@pytest.fixture
def recorded(remember):
    positions = torch.rand(60, 5, 3, generator=torch.Generator().manual_seed(0))
    frames = torch.cat([positions, torch.zeros(60, 5, 2)], dim=2)
    blocks = {"position": slice(0, 3), "clock": slice(3, 5)}
    return remember(frames, actions=torch.zeros(60, 4, 3), blocks=blocks, action_repeat=2)


@pytest.fixture
def cost():
    return CostModule(**TERMS, limits={})


@pytest.fixture
def make_task(world, recorded, learning_settings, metadata):
    def make(*, weights=0, horizon=HORIZON, seed=0, limits=None, violation_weight=10.0, bounds=BOX, **changes):
        torch.manual_seed(weights)
        policy = MLPPolicy(embed_dim=5, bounds=free_bounds(BoxActions.unit(3)), hidden_dim=32, num_layers=2)
        settings = learning_settings(**({"task_share": 1.0} | changes))
        task = RefinementTask(
            policy=policy,
            world_model=world,
            cost=CostModule(**TERMS, limits=limits or {}),
            violation_weight=violation_weight,
            bounds=bounds,
            still=torch.zeros(3),
            horizon=horizon,
            experience=recorded,
            split=Split.draw(60, validation_fraction=0.1, rng=np.random.default_rng(0)),
            settings=settings,
            task_sensors=["position"],
            metadata=metadata,
            seed=seed,
        )
        return policy, task, settings

    return make


@pytest.fixture
def train(make_task, tmp_path):
    def run(*, output=None, **changes):
        policy, task, settings = make_task(**changes)
        fit(task, settings=settings, identity={}, output=output or tmp_path, description="refinement")
        return policy

    return run


def moments(num_moments=500):
    generator = torch.Generator().manual_seed(5)
    places, wished = (
        torch.cat([torch.rand(num_moments, 3, generator=generator), torch.zeros(num_moments, 2)], dim=1)
        for _ in range(2)
    )
    mask = (torch.arange(5) < 3).expand(num_moments, 5)
    return places, LatentGoal(embedding=wished, mask=mask)


def test_a_fresh_policy_comes_to_go_straight_where_nothing_is_in_the_way(train):
    policy = train(num_steps=300, validation_every=1000, checkpoint_every=1000)
    places, goal = moments()
    straight = ((goal.embedding - places)[:, :3] / 0.2).clamp(-1.0, 1.0)
    with torch.no_grad():
        assert (policy(places, goal) - straight).abs().mean() < 0.1


def test_the_loss_is_what_the_objective_says_of_following_the_policy(make_task, world, cost):
    policy, task, _ = make_task()
    places, goal = moments(20)
    transitions = Transitions(
        embedding=places, action=torch.zeros(20, 3), later=places, goal=goal, steps_to_goal=torch.ones(20)
    )
    place, actions = places, []
    with torch.no_grad():
        for _ in range(HORIZON):
            actions.append(policy(place, goal))
            place = place + torch.nn.functional.pad(0.2 * actions[-1], (0, 2))
    context = LatentContext(
        embeddings=places[:, None], actions=torch.zeros(20, 0, 6), previous_action=torch.zeros(20, 6)
    )
    objective = ImaginedCost(world_model=world, cost=cost, context=context, goal=goal, action_repeat=2)
    expected = objective(torch.stack(actions, dim=1)[:, None]).cost.mean()
    torch.testing.assert_close(task._losses(transitions)["loss"].detach(), expected)


def test_the_loss_counts_by_how_much_limits_are_exceeded(make_task):
    free = make_task()[1].losses(1)
    assert free["violation"] == 0.0 and free["loss"] == free["cost"]
    limit = 1e-2
    limited = make_task(limits={"control_effort": limit}, violation_weight=7.0)[1].losses(1)
    assert limited["violation"] > 0.0
    torch.testing.assert_close(limited["loss"], limited["cost"] + 7.0 * limited["violation"])


def test_a_limited_policy_comes_to_keep_its_limit(train, tmp_path):
    longer = {"num_steps": 300, "validation_every": 1000, "checkpoint_every": 1000}
    places, goal = moments()
    efforts = []
    for limits in ({}, {"control_effort": 0.4}):
        policy = train(output=tmp_path / str(len(limits)), limits=limits, violation_weight=100.0, **longer)
        with torch.no_grad():
            efforts.append(float(policy(places, goal).square().mean()))
    assert efforts[1] < 0.25 < efforts[0]


def test_only_what_is_let_through_is_imagined(make_task):
    bounds = replace(BOX, max_change=torch.full((3,), 0.1), previous_action=torch.zeros(1, 3))
    _, task, _ = make_task(bounds=bounds)
    imagined, price = [], task._cost

    class Watching:
        violations = price.violations

        def __call__(self, trajectory, goal):
            imagined.append(trajectory.actions[:, 0, :, :3].detach())
            return price(trajectory, goal)

    task._cost = Watching()
    task.losses(1)
    changes = torch.diff(imagined[0], dim=1, prepend=torch.zeros(len(imagined[0]), 1, 3)).abs()
    assert changes.max() == pytest.approx(0.1)


def test_gradients_reach_all_of_the_policy_and_nothing_that_was_recorded(make_task, recorded):
    policy, task, _ = make_task()
    task.losses(1)["loss"].backward()
    assert all((weight.grad != 0).any() for weight in policy.parameters())
    assert [*map(id, task.module.parameters())] == [*map(id, policy.parameters())]


def content(folder):
    """Returns the bytes of all files of a training but TensorBoard's, which hold the time of day."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("step", [1, 17])
def test_a_refinement_interrupted_at_any_step_ends_with_the_same_bytes(train, tmp_path, monkeypatch, step):
    train(output=tmp_path / "whole")
    count = iter(range(1, 100))

    def stop(task):
        if next(count) == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(RefinementTask, "finish_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train(output=tmp_path / "parts")
    monkeypatch.undo()
    train(output=tmp_path / "parts", weights=7 if step > 10 else 0)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_a_validation_is_the_same_at_every_call(make_task):
    _, task, _ = make_task()
    assert task.validate(10) == task.validate(10) == task.validate(20)


@pytest.mark.parametrize(
    "changes",
    [{"horizon": 2}, {"seed": 1}, {"weights": 1}, {"batch_size": 16}],
    ids=lambda changes: next(iter(changes)),
)
def test_every_value_changes_what_is_learned(train, tmp_path, changes):
    places, goal = moments(10)
    first, other = train(output=tmp_path / "a"), train(output=tmp_path / "b", **changes)
    assert not torch.equal(first(places, goal), other(places, goal))


def test_a_refinement_has_steps_batches_and_a_learning_rate_of_its_own(learning_settings):
    settings = learning_settings(refinement_steps=7, refinement_batch_size=5, refinement_learning_rate=0.25)
    refinement = settings.of_refinement()
    assert (refinement.num_steps, refinement.batch_size, refinement.learning_rate) == (7, 5, 0.25)
    assert refinement.clip_norm == settings.clip_norm
    for name in ("refinement_steps", "refinement_batch_size", "refinement_horizon"):
        with pytest.raises(ValueError, match=f"learning.{name} must be at least 1, got 0"):
            learning_settings(**{name: 0})
    with pytest.raises(ValueError, match="refinement_learning_rate must be above 0 and finite, got 0"):
        learning_settings(refinement_learning_rate=0)
    least = "learning.refinement_learning_rate must be at least final_learning_rate=0.001, got 0.0005"
    with pytest.raises(ValueError, match=least):
        learning_settings(final_learning_rate=1e-3, learning_rate=1e-3, refinement_learning_rate=5e-4)
