"""Reacting, planning and both, in a world where the straight policy is best: it needs one step for each tenth."""

import numpy as np
import pytest
import torch

from agent.proposal import imagine_policy
from planners.cem import CEM
from planners.types import ActionBounds
from world_model.types import Goal, LatentContext

GOAL = {"position": [0.5, -0.3, 0.2]}
SWITCHING = [
    {"name": "far", "when": {"cost_to_go_above": 3.5}, "then": {"mode": "planning"}},
    {"name": "near", "when": {}, "then": {"mode": "reactive"}},
]


def observe(position):
    return {"position": np.asarray(position, np.float32), "clock": np.zeros(2, np.float32)}


def run(actor, *, num_steps, goal=GOAL):
    """Returns the positions of a point that does what the actor says, from the origin."""
    actor.reset(goal, seed=0)
    positions = [np.zeros(3, np.float32)]
    for _ in range(num_steps):
        positions.append(positions[-1] + np.float32(0.1) * actor.act(observe(positions[-1])))
    return np.array(positions)


class Watched(CEM):
    """A planner that keeps what it is given."""

    calls = []

    def plan(self, objective, state, *, proposals=(), **arguments):
        outcome = super().plan(objective, state, proposals=proposals, **arguments)
        self.calls.append((objective, state, proposals, outcome))
        return outcome


@pytest.fixture
def planner(monkeypatch):
    monkeypatch.setattr(Watched, "calls", [])
    return Watched


def test_alone_the_policy_goes_straight_and_nothing_is_planned(make_actor, planner, policy):
    actor = make_actor(policy=policy, mode="reactive", planner=planner)
    positions = run(actor, num_steps=7)
    assert np.abs(positions[5:] - GOAL["position"]).max() < 1e-6
    assert planner.calls == [] and actor.state.plan is None
    assert [(it.mode, it.num_evaluations) for it in actor.state.choices] == [("reactive", 0)] * 7


def test_a_reaction_imagines_nothing_but_what_it_is_surprised_by(make_actor, integrator, policy, critic):
    rollout, imagined = integrator.rollout, []
    integrator.rollout = lambda context, actions: imagined.append(actions.shape) or rollout(context, actions)
    run(make_actor(policy=policy, critic=critic, mode="reactive"), num_steps=5)
    assert imagined == [(1, 1, 1, 3)] * 4  # one step of one future for each moment after the first


def test_a_reaction_is_held_for_a_model_step(make_actor, policy):
    actor = make_actor(policy=policy, mode="reactive", action_repeat=3)
    actor.reset(GOAL, seed=0)
    actions = [actor.act(observe([0.1 * step, 0.0, 0.0])) for step in range(4)]
    assert actions[0].tolist() == actions[1].tolist() == actions[2].tolist() == [1.0, -1.0, 1.0]
    assert actions[3].tolist() == [1.0, -1.0, 1.0]
    assert len(actor.state.memory.moments) == 2


def test_hybrid_proposes_what_the_policy_would_do(make_actor, planner, policy):
    run(make_actor(policy=policy, mode="hybrid", planner=planner), num_steps=1)
    ((_, _, (proposal,), _),) = planner.calls
    expected = torch.tensor([[[1.0, -1.0, 1.0], [1.0, -1.0, 1.0], [1.0, -1.0, 0.0]]])
    assert torch.allclose(proposal, expected, atol=1e-5)


def test_the_proposal_is_kept_where_it_is_best(make_actor, planner, policy):
    actor = make_actor(policy=policy, mode="hybrid", planner=planner)
    positions = run(actor, num_steps=3)
    for _, _, (proposal,), (plan, _) in planner.calls:
        assert torch.equal(plan.actions, proposal)
    assert np.allclose(positions[3], [0.3, -0.3, 0.2], atol=1e-6)


def test_a_bad_proposal_is_not_followed(make_actor, planner, policy):
    def away(embeddings, goal):
        return -policy(embeddings, goal)

    positions = run(make_actor(policy=away, mode="hybrid", planner=planner), num_steps=12)
    assert len(planner.calls[0][2]) == 1
    assert np.abs(positions[-1] - GOAL["position"]).max() < 0.05


def test_planning_asks_the_policy_nothing(make_actor, planner, policy):
    positions = run(make_actor(policy=policy, mode="planning"), num_steps=6)
    assert np.array_equal(positions, run(make_actor(planner=planner), num_steps=6))
    assert all(proposals == () for _, _, proposals, _ in planner.calls)


def test_what_is_proposed_is_what_will_be_let_through(integrator, policy):
    high = torch.ones(3)
    bounds = ActionBounds(low=-high, high=high, max_change=0.25 * high, previous_action=torch.zeros(1, 3))
    context = LatentContext(
        embeddings=torch.zeros(1, 1, 5), actions=torch.zeros(1, 0, 6), previous_action=torch.zeros(1, 6)
    )
    asked = {"position": torch.ones(1, dtype=torch.bool)}
    goal = integrator.encode_goal(Goal(observation={"position": torch.tensor([[0.1, 0.0, 0.0]])}, asked=asked))
    actions, _ = imagine_policy(policy, integrator, context, goal, bounds=bounds, horizon=4, action_repeat=2)
    # in two control steps a tenth of the action twice: 0.05, where half a step back is asked for and the limit bites
    assert actions[0, :, 0].tolist() == pytest.approx([0.25, 0.5, 0.25, 0.0], abs=1e-6)
    assert torch.equal(actions, bounds.clip(actions))


def test_after_reactions_a_plan_starts_warm_from_where_the_last_one_would_be(make_actor, planner, policy, critic):
    rules = [
        {"name": "first", "when": {"steps_on_goal_below": 2}, "then": {"mode": "planning"}},
        {"name": "later", "when": {"steps_on_goal_above": 3}, "then": {"mode": "planning"}},
        {"name": "between", "when": {}, "then": {"mode": "reactive"}},
    ]
    actor = make_actor(policy=policy, planner=planner, rules=rules, horizon=5)
    run(actor, num_steps=4)
    assert [it.mode for it in actor.state.choices] == ["planning", "reactive", "reactive", "planning"]
    (_, _, _, (_, left)), (_, given, _, _) = planner.calls
    assert torch.equal(given.plan[:, :-3], left.plan[:, 3:])
    assert torch.equal(given.mean[:, :-3], left.mean[:, 3:])


def test_the_mode_follows_the_situation_and_is_recorded(make_actor, policy, critic):
    actor = make_actor(policy=policy, critic=critic, rules=SWITCHING)
    positions = run(actor, num_steps=8, goal={"position": [0.6, 0.0, 0.0]})
    steps = np.abs(positions[:-1] - [0.6, 0.0, 0.0]).max(axis=1) / 0.1
    for choice, cost_to_go in zip(actor.state.choices, steps, strict=True):
        assert choice.situation.cost_to_go == pytest.approx(cost_to_go, abs=1e-4)
        assert choice.situation.doubt == 0.0
        assert (choice.rule, choice.mode) == (("far", "planning") if cost_to_go > 3.5 else ("near", "reactive"))
        assert (choice.num_evaluations > 0) == (choice.mode == "planning")
    assert {choice.mode for choice in actor.state.choices} == {"planning", "reactive"}


def test_doubt_is_how_far_the_critics_members_disagree(make_actor, policy, critic):
    critic.doubt = 0.5
    actor = make_actor(policy=policy, critic=critic, mode="reactive")
    run(actor, num_steps=1, goal={"position": [0.6, 0.0, 0.0]})
    situation = actor.state.choices[0].situation
    assert (situation.cost_to_go, situation.doubt) == (pytest.approx(6.0), pytest.approx(0.5))


def test_one_critic_alone_is_never_sure(make_actor, policy, critic):
    rules = [
        {"name": "sure", "when": {"doubt_below": 9.0}, "then": {"mode": "reactive"}},
        {"name": "else", "when": {}, "then": {"mode": "planning"}},
    ]
    for judge, rule in ((critic, "sure"), (lambda embeddings, goal: critic(embeddings, goal)[:1], "else")):
        actor = make_actor(policy=policy, critic=judge, rules=rules)
        run(actor, num_steps=1)
        assert actor.state.choices[0].rule == rule
    assert actor.state.choices[0].situation.doubt is None
    assert actor.state.choices[0].situation.cost_to_go == pytest.approx(5.0)


def test_a_budget_and_a_horizon_can_change_from_step_to_step(make_actor, planner, critic):
    rules = [
        {"name": "far", "when": {"cost_to_go_above": 3.5}, "then": {"horizon": 5, "num_evaluations": 200}},
        {"name": "near", "when": {}, "then": {"horizon": 2, "num_evaluations": 70}},
    ]
    actor = make_actor(critic=critic, planner=planner, rules=rules)
    run(actor, num_steps=6)
    for choice, (_, _, _, (plan, _)) in zip(actor.state.choices, planner.calls, strict=True):
        horizon, most = (5, 200) if choice.rule == "far" else (2, 70)
        assert choice.horizon == plan.actions.shape[1] == horizon
        assert choice.num_evaluations == plan.num_evaluations <= most
    assert {choice.rule for choice in actor.state.choices} == {"far", "near"}


@pytest.mark.parametrize("changes", [{"mode": "hybrid"}, {"rules": SWITCHING, "mode": "hybrid"}, {"rules": SWITCHING}])
def test_recorded_observations_give_the_same_actions_bit_for_bit(make_actor, policy, critic, changes):
    positions = run(make_actor(policy=policy, critic=critic, **changes), num_steps=8)
    fresh = make_actor(policy=policy, critic=critic, **changes)
    fresh.reset(GOAL, seed=0)
    actions = np.array([fresh.act(observe(position)) for position in positions[:-1]])
    assert np.array_equal(positions[:-1] + np.float32(0.1) * actions, positions[1:])


@pytest.mark.parametrize(
    ("changes", "modes"),
    [
        ({"mode": "reactive"}, r"reactive \(rule 'always'\)"),
        ({"mode": "hybrid"}, r"hybrid \(rule 'always'\)"),
        ({"rules": SWITCHING}, r"reactive \(rule 'near'\)"),
    ],
)
def test_a_mode_that_needs_a_policy_is_refused_without_one(make_actor, critic, changes, modes):
    message = f"without a policy the mode must be planning, got {modes}: choose actor.mode=planning .* policy=mlp$"
    with pytest.raises(ValueError, match=message):
        make_actor(critic=critic, **changes)


def test_a_rule_that_asks_the_critic_is_refused_without_one(make_actor, policy):
    message = r"without a critic no rule may ask for cost_to_go or doubt.* critic=\[cost_to_go\]$"
    with pytest.raises(ValueError, match=message):
        make_actor(policy=policy, rules=SWITCHING)
