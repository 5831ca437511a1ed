"""Policies of a point in the plane, which a control action moves by up to a tenth along each axis."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from agent.actions import free_bounds
from agent.learning.cost_to_go import CostToGo
from agent.learning.experience import Split
from agent.learning.hindsight import Transitions
from agent.learning.policy import PolicyLearning, PolicyTask
from agent.learning.practice import Demonstrations
from agent.policy import MLPPolicy
from envs.spec import BoxActions
from world_model.training.checkpoint import load_checkpoint
from world_model.training.fit import fit
from world_model.types import LatentGoal

STEP = 0.1
PLAIN = CostToGo(discount=1.0, reached_distance=0.01)
LEARNING = {"temperature": 0.3, "max_weight": 20.0, "imitation_weight": 0.0, "num_imitated": 1, "violation_weight": 1.0}


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def whole(places):
    return LatentGoal(embedding=places, mask=torch.ones_like(places, dtype=torch.bool))


def straight(embeddings, goal):
    """Returns the action that goes straight to the goal, each axis as fast as it can."""
    return ((goal.embedding - embeddings) / STEP).clamp(-1.0, 1.0)


class StepsLeft:
    """Knows how many steps are left at the most, along the slower axis, in two opinions that differ by a quarter."""

    def __call__(self, embeddings, goal):
        steps = (goal.embedding[:, None] - embeddings).abs().amax(dim=2) / STEP
        return torch.stack([steps - 0.125, steps + 0.125])


@pytest.fixture(scope="module")
def strolls(remember):
    """Somebody strolls with no goal at all: each action is as likely as any other, and lasts one step."""
    generator = torch.Generator().manual_seed(0)
    starts = torch.rand(200, 1, 2, generator=generator)
    actions = 2.0 * torch.rand(200, 20, 2, generator=generator) - 1.0
    return remember(torch.cat([starts, starts + STEP * actions.cumsum(dim=1)], dim=1), actions=actions)


@pytest.fixture(scope="module")
def plans():
    """Mode 2 knows the straight way."""
    generator = torch.Generator().manual_seed(1)
    places, goals = torch.rand(2, 500, 2, generator=generator)
    return Demonstrations(embedding=places, goal=whole(goals), action=straight(places, whole(goals)))


@pytest.fixture
def make_task(strolls, plans, learning_settings, metadata):
    def make(*, weights=0, seed=0, demonstrations=plans, hidden_dim=32, learning=None, **changes):
        torch.manual_seed(weights)
        policy = MLPPolicy(embed_dim=2, bounds=free_bounds(BoxActions.unit(2)), hidden_dim=hidden_dim, num_layers=2)
        settings = learning_settings(**({"future_share": 1.0} | changes))
        task = PolicyTask(
            policy=policy,
            critic=StepsLeft(),
            cost_to_go=PLAIN,
            learning=PolicyLearning(**LEARNING | (learning or {})),
            demonstrations=demonstrations,
            experience=strolls,
            split=Split.draw(200, validation_fraction=0.1, rng=np.random.default_rng(0)),
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
        fit(task, settings=settings, identity={}, output=output or tmp_path, description="policy")
        return policy

    return run


LONGER = {"num_steps": 250, "batch_size": 128, "validation_every": 10_000, "checkpoint_every": 10_000}


def error(policy):
    """Returns the mean absolute difference from the straight way."""
    places, goals = torch.rand(2, 1000, 2, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        return float((policy(places, whole(goals)) - straight(places, whole(goals))).abs().mean())


def distance_left(policy, *, num_steps):
    """Returns how far from the goal a policy ends, rms over episodes."""
    places, goals = torch.rand(2, 200, 2, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        for _ in range(num_steps):
            places = places + STEP * policy(places, whole(goals))
    return float((places - goals).square().sum(dim=1).mean().sqrt())


# What it answers


@pytest.fixture
def policy():
    torch.manual_seed(0)
    return MLPPolicy(embed_dim=5, bounds=free_bounds(BoxActions.unit(3)), hidden_dim=16, num_layers=2)


def test_an_action_lies_within_its_bounds_whatever_is_seen(policy):
    for scale in (0.0, 1.0, 1e3, 1e6):
        actions = policy(scale * draw(100, 5), whole(scale * draw(100, 5, seed=1)))
        assert actions.shape == (100, 3) and (actions.abs() <= 1.0).all()


def test_what_a_goal_does_not_ask_for_is_not_seen_but_that_it_does_not_is(policy):
    mask = torch.arange(5).expand(6, 5) < 2
    places, wished = draw(6, 5), draw(6, 5, seed=1)
    goals = [LatentGoal(embedding=torch.where(mask, wished, rest), mask=mask) for rest in (0.0, 100.0)]
    assert torch.equal(policy(places, goals[0]), policy(places, goals[1]))
    assert (policy(places, whole(goals[0].embedding)) != policy(places, goals[0])).any(dim=1).all()


def test_each_state_is_answered_on_its_own(policy):
    places, goals = draw(6, 5), draw(6, 5, seed=1)
    together = policy(places, whole(goals))
    for row in range(6):
        torch.testing.assert_close(policy(places[row, None], whole(goals[row, None]))[0], together[row])


@pytest.mark.parametrize("name", ["hidden_dim", "num_layers"])
def test_sizes_below_1_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} of a policy must be at least 1, got 0"):
        MLPPolicy(
            **{"embed_dim": 2, "bounds": free_bounds(BoxActions.unit(2)), "hidden_dim": 4, "num_layers": 1, name: 0}
        )


# How much an action counts


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_an_action_counts_by_how_much_nearer_than_a_step_it_came(temperature):
    nearer = torch.tensor([-1.0, 0.0, 0.5, 1.0, 3.0])  # steps
    goals = torch.zeros(5, 2)
    goals[:, 0] = 1.0
    later = torch.zeros(5, 2)
    later[:, 0] = STEP * nearer
    transitions = Transitions(
        embedding=torch.zeros(5, 2), action=later, later=later, goal=whole(goals), steps_to_goal=torch.ones(5)
    )
    learning = PolicyLearning(**LEARNING | {"temperature": temperature, "max_weight": 2.5})
    expected = ((nearer - 1.0) / temperature).exp().clamp(max=2.5)
    weights = learning.weights(StepsLeft(), transitions, cost_to_go=PLAIN)
    torch.testing.assert_close(weights, expected, rtol=1e-4, atol=1e-5)


def test_the_best_action_has_no_advantage_however_far_the_goal_is():
    """One that comes nearer by a step, of as many as are left, each of which counts less than the one before."""
    discount, steps = 0.9, torch.arange(1, 41)

    def discounted(embeddings, goal):
        left = (goal.embedding[:, None] - embeddings)[:, :, 0]
        return ((1.0 - discount**left) / (1.0 - discount))[None]

    goals = steps[:, None].float()
    transitions = Transitions(
        embedding=torch.zeros(40, 1),
        action=torch.ones(40, 1),
        later=torch.ones(40, 1),
        goal=whole(goals),
        steps_to_goal=torch.ones(40),
    )
    rule = CostToGo(discount=discount, reached_distance=0.01)
    weights = PolicyLearning(**LEARNING).weights(discounted, transitions, cost_to_go=rule)
    torch.testing.assert_close(weights, torch.ones(40), atol=1e-4, rtol=0.0)


def test_resting_at_the_goal_counts_as_an_ideal_step_and_leaving_it_less():
    """From the goal to it, from one step away to it, and from the goal two steps away, with a critic that is unsure."""
    place, later = (
        torch.tensor([[0.5, 0.5], [0.4, 0.5], [0.5, 0.5]]),
        torch.tensor([[0.5, 0.5], [0.5, 0.5], [0.7, 0.5]]),
    )
    goals = whole(torch.full((3, 2), 0.5))
    transitions = Transitions(embedding=place, action=later, later=later, goal=goals, steps_to_goal=torch.ones(3))
    weights = PolicyLearning(**LEARNING).weights(StepsLeft(), transitions, cost_to_go=PLAIN)
    expected = torch.tensor([1.0, 1.0, torch.tensor(-2.0 / LEARNING["temperature"]).exp()])
    torch.testing.assert_close(weights, expected, atol=1e-4, rtol=0.0)


def test_no_gradient_reaches_the_critic_or_what_was_remembered(make_task, strolls):
    critic = torch.nn.Linear(2, 1)
    policy, task, _ = make_task()
    task._critic = lambda embeddings, goal: critic(embeddings)[None, :, :, 0]
    task.losses(1)["loss"].backward()
    assert all((weight.grad != 0).any() for weight in policy.parameters())
    assert all(weight.grad is None for weight in critic.parameters())


# What it learns


def test_from_a_stroll_it_learns_to_go_to_the_goal_by_what_turned_out_well(train, tmp_path):
    weighted = train(output=tmp_path / "weighted", **LONGER)
    plain = train(output=tmp_path / "plain", learning={"temperature": 1e6}, **LONGER)
    assert error(weighted) < min(0.2, 0.5 * error(plain))
    assert distance_left(weighted, num_steps=7) < 0.5 * distance_left(plain, num_steps=7)
    assert distance_left(weighted, num_steps=12) < 0.03 < 0.5 < distance_left(weighted, num_steps=0)


def test_it_imitates_plans(train):
    imitator = train(learning={"imitation_weight": 1000.0}, **LONGER)
    assert error(imitator) < 0.1
    assert distance_left(imitator, num_steps=12) < 0.03


def test_the_losses_are_the_weighted_regression_and_the_imitation(make_task):
    policy, task, _ = make_task(learning={"imitation_weight": 3.0})
    losses = task.losses(1)
    assert losses["loss"].item() == pytest.approx(losses["regression"].item() + 3.0 * losses["imitation"].item())
    with torch.no_grad():
        for weight in policy.parameters():
            weight.zero_()
    losses = task.losses(1)
    assert losses["imitation"].item() == pytest.approx(float(task._shown.action.square().mean()), rel=0.3)


def test_an_action_that_counts_more_pulls_more(make_task, remember, learning_settings):
    """One place and two actions there: what is learned is their mean, weighted by what they are worth."""
    _, task, _ = make_task()
    places = torch.zeros(2, 2)
    goals = torch.tensor([[0.1, 0.0]]).expand(2, 2)
    actions = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    transitions = Transitions(
        embedding=places, action=actions, later=STEP * actions, goal=whole(goals), steps_to_goal=torch.ones(2)
    )
    weights = torch.tensor([1.0, torch.tensor(-1.0 / LEARNING["temperature"]).exp()])
    answer = torch.zeros(2, 2, requires_grad=True)
    task._policy = SimpleNamespace(errors=lambda embeddings, goal, actions: answer.mean(dim=0) - actions)
    optimizer = torch.optim.SGD([answer], lr=1.0)
    for _ in range(200):
        optimizer.zero_grad()
        task._losses(transitions)["loss"].backward()
        optimizer.step()
    assert answer.mean(dim=0)[0].item() == pytest.approx(float(weights[0] / weights.sum()), abs=1e-3)


# Validation, interruption, values


def test_a_validation_shows_imitation_on_plans_that_are_not_learned_from(make_task, plans):
    """The last plans are of another kind: nowhere does one go anywhere."""
    action = plans.action.clone()
    action[-50:] = 0.0
    shown = Demonstrations(embedding=plans.embedding, goal=plans.goal, action=action)
    policy, task, _ = make_task(demonstrations=shown, learning={"imitation_weight": 3.0})
    with torch.no_grad():
        for weight in policy.parameters():
            weight.zero_()
    found = task.validate(0)
    assert found["imitation"] == 0.0 and found["regression"] > 0.0 and task.losses(1)["imitation"] > 0.1


def test_a_validation_is_the_same_at_every_call_and_steps_draw_differently(make_task):
    _, task, _ = make_task()
    assert task.validate(10) == task.validate(10) == task.validate(20)
    losses = [task.losses(step)["loss"].item() for step in (1, 2, 1)]
    assert losses[0] == losses[2] != losses[1]


def content(folder):
    """Returns the bytes of all files of a training but TensorBoard's, which hold the time of day."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("step", [1, 10, 17, 29])
def test_a_training_interrupted_at_any_step_ends_with_the_same_bytes(train, tmp_path, monkeypatch, step):
    learning = {"imitation_weight": 1.0}
    train(output=tmp_path / "whole", learning=learning)
    finish, count = PolicyTask.finish_step, iter(range(1, 100))

    def stop(task):
        finish(task)
        if next(count) == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(PolicyTask, "finish_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train(output=tmp_path / "parts", learning=learning)
    monkeypatch.undo()
    train(output=tmp_path / "parts", learning=learning, weights=7 if step > 10 else 0)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_what_is_kept_is_the_policy(train, tmp_path):
    policy = train()
    checkpoint = load_checkpoint(tmp_path / "last.safetensors")
    assert checkpoint.sections.keys() == {"policy"} and checkpoint.metadata.training_step == 30
    restored = MLPPolicy(embed_dim=2, bounds=free_bounds(BoxActions.unit(2)), hidden_dim=32, num_layers=2)
    checkpoint.restore("policy", restored)
    assert error(restored) == error(policy)


@pytest.mark.parametrize(
    "changes",
    [
        {"learning": {"temperature": 1.0}},
        {"learning": {"max_weight": 0.5}},
        {"learning": {"imitation_weight": 1.0}},
        {"seed": 1},
        {"weights": 1},
        {"future_share": 0.5},
    ],
    ids=lambda changes: next(iter(next(iter(changes.values())))) if "learning" in changes else next(iter(changes)),
)
def test_every_value_changes_what_is_learned(train, tmp_path, changes):
    assert error(train(output=tmp_path / "a")) != error(train(output=tmp_path / "b", **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "policy.learning.temperature must be above 0 and finite, got 0.0"),
        ({"temperature": float("nan")}, "policy.learning.temperature must be above 0 and finite, got nan"),
        ({"max_weight": -1.0}, "policy.learning.max_weight must be above 0 and finite, got -1.0"),
        ({"imitation_weight": -0.5}, "policy.learning.imitation_weight must be at least 0 and finite, got -0.5"),
        ({"violation_weight": -1.0}, "policy.learning.violation_weight must be at least 0 and finite, got -1.0"),
        ({"num_imitated": 0}, "policy.learning.num_imitated must be at least 1, got 0"),
        ({"num_imitated": 1.5}, "policy.learning.num_imitated must be a whole number, at least 1, got 1.5"),
    ],
)
def test_learning_without_meaning_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        PolicyLearning(**LEARNING | changes)
